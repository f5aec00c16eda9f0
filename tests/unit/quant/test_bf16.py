"""bfloat16 in numpy against torch's."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smallsight.quant.bf16 import round_to_bf16, widen_bf16

LARGEST = 2.0**126


@settings(deadline=None)  # the first example imports torch
@given(hnp.arrays(np.float32, 8, elements=st.floats(-LARGEST, LARGEST, width=32)))
def test_rounding_is_torchs(values):
    import torch

    expected = torch.from_numpy(values).to(torch.bfloat16).to(torch.float32).numpy()
    np.testing.assert_array_equal(widen_bf16(round_to_bf16(values)), expected)


def test_numbers_of_the_format_do_not_move():
    values = np.array([[1.0, -2.5, 0.0, 3.140625]], np.float32)
    assert np.array_equal(widen_bf16(round_to_bf16(values)), values)

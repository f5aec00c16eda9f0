"""Integers in groups: what rounding may cost, and that packing loses nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smallsight.quant.grouped import GROUP_SIZES, dequantize_groups, group_size, quantize_groups

MATRICES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.sampled_from([16, 32, 48])),
    elements=st.floats(-1000, 1000, width=32),
)


@given(MATRICES, st.sampled_from([8, 4]), st.sampled_from([8, 16]))
def test_no_value_moves_by_more_than_half_a_step(matrix, bits, group):
    stored = quantize_groups(matrix, bits, group)
    moved = np.abs(dequantize_groups(stored) - matrix).reshape(stored.scales.shape[0], -1, group)
    assert (moved <= 0.51 * stored.scales.astype(np.float32)).all()


@pytest.mark.parametrize(("bits", "largest"), [(8, 127), (4, 7)])
def test_codes_come_back_as_they_were(bits, largest):
    codes = np.arange(-largest, largest + 1)
    matrix = np.resize(codes, (3, 64)).astype(np.float32)
    matrix[:, 0] = largest  # fixes every scale at 1
    matrix[:, 32] = largest
    assert np.array_equal(dequantize_groups(quantize_groups(matrix, bits, 32)), matrix)


def test_a_large_value_costs_only_its_own_group_precision():
    matrix = np.full((1, 128), 0.01, np.float32)
    matrix[0, 0] = 100.0
    restored = dequantize_groups(quantize_groups(matrix, 8, 64))
    assert restored[0, 1] == 0.0
    np.testing.assert_allclose(restored[0, 64:], 0.01, rtol=1e-3)


def test_zeros_stay_zeros():
    assert not dequantize_groups(quantize_groups(np.zeros((2, 64), np.float32), 4, 64)).any()


def test_sizes_are_what_they_claim():
    stored = quantize_groups(np.ones((6, 128), np.float32), 4, 64)
    assert stored.shape == (6, 128)
    assert stored.num_bytes == 6 * 128 // 2 + 6 * 2 * 2


@given(st.integers(1, 4096))
def test_the_group_is_the_largest_that_divides(columns):
    expected = [size for size in GROUP_SIZES if columns % size == 0]
    assert group_size(columns) == (expected[0] if expected else None)

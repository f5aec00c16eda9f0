"""Which form a matrix gets at each precision."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.quant.bf16 import BF16Matrix
from smallsight.quant.grouped import GroupedMatrix
from smallsight.quant.int8_rows import Int8Rows
from smallsight.quant.scheme import SCHEMES, Module, store_matrix

MATRIX = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)


def test_the_text_embedders_precisions():
    assert store_matrix(MATRIX, "fp32") is MATRIX
    stored = store_matrix(MATRIX, "int8")
    assert isinstance(stored, Int8Rows)
    assert stored.codes.dtype == np.int8


@pytest.mark.parametrize("module", Module)
@pytest.mark.parametrize(
    ("precision", "kind", "bits"),
    [
        ("fp32", np.ndarray, None),
        ("bf16", BF16Matrix, None),
        ("int8", GroupedMatrix, 8),
        ("int4", GroupedMatrix, 4),
    ],
)
def test_each_module_gets_the_form_of_its_precision(module, precision, kind, bits):
    stored = SCHEMES[precision].store(MATRIX, module)
    assert isinstance(stored, kind)
    if bits is not None:
        assert stored.bits == (8 if module is Module.HEAD else bits)


def test_a_width_no_group_divides_falls_back_to_rows():
    assert isinstance(SCHEMES["int4"].store(MATRIX[:, :63], Module.TEXT), Int8Rows)


def test_schemes_are_told_apart():
    assert len({scheme.identity for scheme in SCHEMES.values()}) == len(SCHEMES)

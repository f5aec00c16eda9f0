from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from smallsight.quant.int8_rows import dequantize_rows, quantize_rows

finite = st.floats(-(2.0**100), 2.0**100, width=32)
matrices = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=finite)


@given(matrices)
def test_no_value_moves_by_more_than_half_a_scale(matrix: np.ndarray):
    stored = quantize_rows(matrix)
    moved = np.abs(dequantize_rows(stored).astype(np.float64) - matrix)
    bound = stored.scales.astype(np.float64) / 2 * (1 + 1e-5)
    assert (moved <= bound).all(), "rounding must be to nearest, with the scale of the value's own row"


def test_the_largest_of_each_row_takes_the_largest_code():
    stored = quantize_rows(np.array([[1.0, -0.5], [-300.0, 2.0]], np.float32))
    assert stored.codes.tolist() == [[127, -64], [-127, 1]]
    assert stored.scales.tolist() == [[pytest.approx(1 / 127)], [pytest.approx(300 / 127)]]


def test_codes_are_symmetric_so_that_minus_128_never_appears():
    matrix = np.random.default_rng(0).standard_normal((50, 200)).astype(np.float32)
    assert quantize_rows(matrix).codes.min() == -127


def test_rows_of_zeros_and_of_the_smallest_numbers_stay_finite():
    matrix = np.array([[0.0, 0.0], [1e-45, -1e-45]], np.float32)
    stored = quantize_rows(matrix)
    assert np.isfinite(stored.scales).all()
    np.testing.assert_allclose(dequantize_rows(stored), matrix, atol=1e-44)


def test_storage_types():
    stored = quantize_rows(np.ones((3, 4), np.float32))
    assert (stored.codes.dtype, stored.codes.shape) == (np.int8, (3, 4))
    assert (stored.scales.dtype, stored.scales.shape) == (np.float32, (3, 1))

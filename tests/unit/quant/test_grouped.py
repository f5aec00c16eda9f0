"""Codes in groups: what rounding may cost, and that packing loses nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smallsight.quant.grouped import GROUP_SIZES, Code, dequantize_groups, group_size, quantize_groups

MATRICES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.sampled_from([16, 32, 48])),
    elements=st.floats(-1000, 1000, width=32),
)
# The widest gap between two neighbouring values, halved, and 2 % for the scale's rounding.
MOST_MOVED = {Code.INT8: 0.51, Code.INT4: 0.51, Code.NF4: 0.16, Code.FP4: 1.02}


@given(MATRICES, st.sampled_from(Code), st.sampled_from([8, 16]))
def test_no_value_moves_by_more_than_half_a_step(matrix, code, group):
    stored = quantize_groups(matrix, code, group)
    moved = np.abs(dequantize_groups(stored) - matrix).reshape(stored.scales.shape[0], -1, group)
    assert (moved <= MOST_MOVED[code] * stored.scales.astype(np.float32)).all()


@given(MATRICES, st.sampled_from([8, 16]))
def test_a_searched_scale_is_never_worse_than_the_largest_values(matrix, group):
    def squared_error(**options):
        stored = quantize_groups(matrix, Code.INT4, group, **options)
        return np.square(dequantize_groups(stored) - matrix).reshape(*stored.scales.shape[:2], group).sum(2)

    plain = squared_error()
    assert (squared_error(is_searched=True) <= plain * 1.01 + 1e-9 + 1e-6 * np.square(matrix).max()).all()


def test_a_searched_scale_takes_a_quarter_off_the_error_of_normal_weights():
    matrix = np.random.default_rng(0).standard_normal((64, 256)).astype(np.float32)

    def error(**options):
        restored = dequantize_groups(quantize_groups(matrix, Code.INT4, 64, **options))
        return float(np.square(restored - matrix).mean())

    assert error(is_searched=True) < 0.75 * error()


def test_a_searched_scale_has_its_extra_code_on_the_side_of_the_largest_value():
    matrix = np.array([[-8, 7, 1, 0, 5, -3, 2, -7], [8, -7, 1, 0, -5, 3, -2, 7]], np.float32)
    stored = quantize_groups(matrix, Code.INT4, 8, is_searched=True)
    assert np.array_equal(dequantize_groups(stored), matrix)
    assert stored.scales.ravel().tolist() == [1.0, -1.0]


@pytest.mark.parametrize(
    ("code", "least_share"), [(Code.INT8, 0.99), (Code.INT4, 0.99), (Code.NF4, 0.99), (Code.FP4, 0.99)]
)
def test_double_quantisation_rounds_scales_to_8_bits(code, least_share):
    matrix = np.random.default_rng(1).standard_normal((300, 64)).astype(np.float32)
    plain, double = (quantize_groups(matrix, code, 64, is_double=choice) for choice in (False, True))
    np.testing.assert_array_equal(plain.codes, double.codes)
    change = double.scales.astype(np.float32) / plain.scales.astype(np.float32)
    assert np.abs(change - 1).max() < 0.02
    assert not np.array_equal(plain.scales, double.scales)
    for block in double.scales.reshape(-1)[:256], double.scales.reshape(-1)[256:]:
        assert len(np.unique(block)) <= 255
    assert least_share < np.corrcoef(plain.scales.ravel(), double.scales.ravel())[0, 1]


@pytest.mark.parametrize(
    ("code", "values"),
    [
        (Code.INT8, np.arange(-127, 128)),
        (Code.INT4, np.arange(-7, 8)),
        (Code.FP4, [-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6]),
    ],
)
def test_values_of_the_form_come_back_as_they_were(code, values):
    matrix = np.resize(np.array(values, np.float32), (3, 64))
    matrix[:, 0] = matrix[:, 32] = max(values)  # fixes every scale at 1
    assert np.array_equal(dequantize_groups(quantize_groups(matrix, code, 32)), matrix)


def test_nf4_has_the_published_values():
    """Those of the table in appendix E of the QLoRA paper."""
    published = [-1.0, -0.6961928, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004, 0.0]
    published += [0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0]
    matrix = np.array([published], np.float32)
    stored = quantize_groups(matrix, Code.NF4, 16)
    np.testing.assert_allclose(dequantize_groups(stored), matrix, atol=1e-6)


def test_a_large_value_costs_only_its_own_group_precision():
    matrix = np.full((1, 128), 0.01, np.float32)
    matrix[0, 0] = 100.0
    restored = dequantize_groups(quantize_groups(matrix, Code.INT8, 64))
    assert restored[0, 1] == 0.0
    np.testing.assert_allclose(restored[0, 64:], 0.01, rtol=1e-3)


@pytest.mark.parametrize("is_searched", [False, True])
def test_zeros_stay_zeros(is_searched):
    stored = quantize_groups(np.zeros((2, 64), np.float32), Code.INT4, 64, is_searched=is_searched)
    assert not dequantize_groups(stored).any()


def test_sizes_are_what_they_claim():
    stored = quantize_groups(np.ones((6, 128), np.float32), Code.INT4, 64)
    assert stored.shape == (6, 128)
    assert stored.num_bytes == 6 * 128 // 2 + 6 * 2 * 2


@given(st.integers(1, 4096), st.sampled_from([128, 64, 32]))
def test_the_group_is_the_largest_that_divides(columns, largest):
    sizes = [size for size in (128, *GROUP_SIZES) if size <= largest]
    expected = [size for size in sizes if columns % size == 0]
    assert group_size(columns, largest) == (expected[0] if expected else None)

"""Every stored form: its predicted size, and what a form says about itself."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.quant.bundle import stored_bytes
from smallsight.quant.forms import Storage, first_rows, form_of

MATRIX = np.random.default_rng(0).standard_normal((12, 128)).astype(np.float32)


@pytest.mark.parametrize("form", Storage)
@pytest.mark.parametrize("columns", [128, 96, 63])
def test_the_predicted_size_is_that_of_the_stored_matrix(form, columns):
    stored = form.store(MATRIX[:, :columns])
    assert form.matrix_bytes(12, columns) == stored_bytes(stored)


def test_double_quantisation_is_smaller_only_as_it_was_published():
    plain, double = Storage.NF4, Storage.NF4_DOUBLE
    assert double.matrix_bytes(1024, 1024) == plain.matrix_bytes(1024, 1024)
    bits = [8 * form.matrix_bytes(1024, 1024, as_published=True) / 1024**2 for form in (plain, double)]
    assert bits == pytest.approx([4.25, 4.127], abs=0.001)
    assert [form for form in Storage if form.has_double_scales and "double" not in form] == []


@pytest.mark.parametrize("form", Storage)
def test_the_first_rows_are_a_smaller_matrix_in_the_same_form(form):
    part, whole = first_rows(form.store(MATRIX), 4), form.store(MATRIX[:4])
    described = form_of(part)
    assert described == form_of(whole)
    assert described is not None
    assert described.shape == (4, 128)
    assert stored_bytes(part) == stored_bytes(whole)


def test_searched_and_plain_scales_run_the_same_kernels():
    """Row bands are measured once for both."""
    plain, searched = Storage.INT4_GROUPS.store(MATRIX), Storage.INT4_SEARCHED.store(MATRIX)
    assert form_of(plain) == form_of(searched)

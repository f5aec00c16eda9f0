from __future__ import annotations

import numpy as np
import pytest

from smallsight.library.search.sqlite import code_products
from smallsight.library.search.sqlite.vector_block import VectorBlock, rows_of
from smallsight.machine.extension import find_extension


def some_block(num_rows, num_dimensions, seed=0):
    rng = np.random.default_rng(seed)
    vectors_ND = rng.standard_normal((num_rows, num_dimensions)).astype(np.float32)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    ids_N = np.arange(num_rows)
    return VectorBlock.of_vectors(vectors_ND, ids_N, ids_N), vectors_ND[num_rows // 2].copy()


@pytest.fixture
def multiply_codes():
    module = find_extension().module
    if not hasattr(module, "multiply_codes"):
        pytest.skip("the extension is not installed, or of before this function")
    return module.multiply_codes


@pytest.mark.parametrize("path", ["plain", "auto"])
@pytest.mark.parametrize(("num_rows", "num_dimensions"), [(1, 16), (6, 384), (1_003, 768)])
def test_the_extension_multiplies_like_numpy(multiply_codes, num_rows, num_dimensions, path):
    block, query_D = some_block(num_rows, num_dimensions)
    expected_N, found_N = np.empty(num_rows, np.float32), np.empty(num_rows, np.float32)
    code_products.multiply_in_numpy(block.codes_ND, block.scales_N, query_D, expected_N)
    multiply_codes(block.codes_ND, block.scales_N, query_D, found_N, path=path)
    assert np.allclose(found_N, expected_N, rtol=0, atol=2e-6)


def test_all_code_paths_of_the_extension_return_the_same_bits(multiply_codes):
    block, query_D = some_block(101, 384)
    one_N, other_N = np.empty(101, np.float32), np.empty(101, np.float32)
    multiply_codes(block.codes_ND, block.scales_N, query_D, one_N, path="plain")
    multiply_codes(block.codes_ND, block.scales_N, query_D, other_N)
    assert np.array_equal(one_N, other_N)


@pytest.mark.parametrize(
    ("rows", "dimensions", "out", "what"),
    [(4, 384, 3, "each row"), (4, 368, 4, "each row"), (4, 20, 4, "multiple of 16")],
)
def test_the_extension_refuses_arrays_that_do_not_fit(multiply_codes, rows, dimensions, out, what):
    codes_ND = np.zeros((rows, 20 if dimensions == 20 else 384), np.int8)
    query_D = np.zeros(dimensions, np.float32)
    with pytest.raises(ValueError, match=what):
        multiply_codes(codes_ND, np.zeros(rows, np.float32), query_D, np.zeros(out, np.float32))


@pytest.mark.parametrize("least", [0, 1_000_000])
@pytest.mark.parametrize("num_dimensions", [32, 40])
def test_products_of_some_rows_are_those_of_all(monkeypatch, least, num_dimensions):
    monkeypatch.setattr(code_products, "_MIN_ROWS_FOR_EXTENSION", least)
    monkeypatch.setattr(code_products, "_MIN_ROWS_PER_THREAD", 500)
    monkeypatch.setattr(code_products, "_num_threads", lambda: 3)
    block, query_D = some_block(4_000, num_dimensions)
    all_N = block.times(query_D)
    assert np.allclose(all_N, block.vectors_at(np.arange(4_000)) @ query_D, rtol=0, atol=2e-6)
    for rows_K in (np.arange(0), np.array([3_999, 5, 5]), np.arange(1, 4_000, 2)):
        assert np.array_equal(block.times_at(rows_K, query_D), all_N[rows_K])


@pytest.mark.parametrize("factor", [1, 1_000])
def test_rows_of_contents_are_found_in_dense_and_sparse_ids(factor):
    rng = np.random.default_rng(1)
    content_ids_N = factor * np.repeat(np.arange(1, 400), rng.integers(0, 4, 399))
    for among in (np.arange(0), np.array([7, 20, 399, 400, 9_999]) * factor, np.arange(500) * factor):
        expected_K = np.flatnonzero(np.isin(content_ids_N, among))
        assert np.array_equal(rows_of(content_ids_N, among), expected_K)
    assert len(rows_of(np.arange(0), np.array([1, 2]))) == 0

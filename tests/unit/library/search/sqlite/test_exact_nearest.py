"""The nearest rows by rounded products with bounds, against all exact products sorted."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.library.search.sqlite.exact_nearest import exact_nearest
from smallsight.library.search.sqlite.vector_block import VectorBlock


def unit_rows(rng, number, dimensions, spread):
    """Return rows around one direction: the smaller the spread, the nearer are their products."""
    rows = rng.standard_normal(dimensions) + spread * rng.standard_normal((number, dimensions))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


def sorted_by_all(exact_N, groups_N, limit, least, rows):
    best = {}
    for row in rows:
        if exact_N[row] >= least and exact_N[row] > best.get(groups_N[row], (-2, 0))[0]:
            best[groups_N[row]] = exact_N[row], row
    ordered = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))[:limit]
    return [int(row) for _, (_, row) in ordered]


@pytest.mark.parametrize("seed", range(40))
def test_rows_are_those_of_a_search_through_all_exact_products(seed):
    rng = np.random.default_rng(seed)
    number, dimensions = int(rng.integers(1, 3_000)), int(rng.choice([8, 64, 384]))
    vectors_ND = unit_rows(rng, number, dimensions, rng.choice([0.01, 0.3, 3]))
    query_D = unit_rows(rng, 1, dimensions, 1)[0]
    ids_N = np.arange(number)
    groups_N = rng.integers(0, max(1, number // 2), number)
    block = VectorBlock.of_vectors(vectors_ND, ids_N, groups_N)
    is_there_N = rng.random(number) < rng.choice([0.5, 1.0])
    exact_N = np.vecdot(vectors_ND, query_D)
    asked = []

    def exact(rows):
        asked.extend(rows.tolist())
        there = rows[is_there_N[rows]]
        return there, exact_N[there]

    among = np.flatnonzero(rng.random(number) < 0.5) if seed % 2 else None
    limit, least = int(rng.integers(1, 60)), float(rng.choice([-1.0, np.median(exact_N)]))
    rows, products = exact_nearest(block.times(query_D), block.errors_N, groups_N, limit, least, exact, among)
    allowed = np.flatnonzero(is_there_N) if among is None else among[is_there_N[among]]
    assert rows.tolist() == sorted_by_all(exact_N, groups_N, limit, least, allowed.tolist())
    assert products.tolist() == exact_N[rows].tolist()
    assert len(asked) == len(set(asked)), "a row is read twice"


def test_a_product_is_never_further_off_than_its_bound():
    rng = np.random.default_rng(1)
    for spread in (0.01, 1, 100):
        vectors_ND, queries_BD = unit_rows(rng, 2_000, 384, spread), unit_rows(rng, 20, 384, 1)
        vectors_ND[:5] = np.eye(384, dtype=np.float32)[:5]
        vectors_ND[5] = 0
        block = VectorBlock.of_vectors(vectors_ND, np.arange(2_000), np.arange(2_000))
        for query_D in queries_BD:
            errors_N = np.abs(block.times(query_D) - vectors_ND @ query_D)
            assert (errors_N <= block.errors_N + 1e-5).all()


def test_few_rows_are_read_exactly():
    rng = np.random.default_rng(2)
    vectors_ND = unit_rows(rng, 20_000, 384, 30)
    block = VectorBlock.of_vectors(vectors_ND, np.arange(20_000), np.arange(20_000))
    asked = 0

    def exact(rows):
        nonlocal asked
        asked += len(rows)
        return rows, np.vecdot(vectors_ND[rows], vectors_ND[7])

    rows, _ = exact_nearest(block.times(vectors_ND[7]), block.errors_N, block.content_ids_N, 100, -1.0, exact)
    assert rows[0] == 7
    assert asked < 1_000


def test_products_are_the_same_in_several_threads(monkeypatch):
    from smallsight.library.search.sqlite import code_products

    rng = np.random.default_rng(3)
    vectors_ND, query_D = unit_rows(rng, 5_000, 64, 1), unit_rows(rng, 1, 64, 1)[0]
    block = VectorBlock.of_vectors(vectors_ND, np.arange(5_000), np.arange(5_000))
    alone_N = block.times(query_D)
    monkeypatch.setattr(code_products, "_MIN_ROWS_PER_THREAD", 700)
    monkeypatch.setattr(code_products, "_num_threads", lambda: 3)
    assert np.array_equal(block.times(query_D), alone_N)

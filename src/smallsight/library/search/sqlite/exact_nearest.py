"""Which rows are nearest, exactly, where products in 8 bits and a bound of their error are known.

Pure: the exact products are asked for row by row, of the few rows whose place the bounds leave open.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

# From rows to the rows among them that still exist, and their exact products, float32.
ExactProducts: TypeAlias = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
_SLACK = 1e-5  # beyond the bounds: sums in float32 are rounded too
_NONE = np.empty(0, np.int64), np.empty(0, np.float32)


def exact_nearest(
    products_N: np.ndarray,
    errors_N: np.ndarray,
    groups_N: np.ndarray,
    limit: int,
    min_product: float,
    exact: ExactProducts,
    among: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best row of each of the ``limit`` best groups and its product, best first; ties go by group.

    Exact products are off by ``errors_N`` at most from ``products_N``. Only rows ``among`` (int64 [K]) count,
    and products of ``min_product`` or more.
    """
    if limit < 1:
        return _NONE
    highest_K = products_N + errors_N if among is None else products_N[among] + errors_N[among]
    highest_K += _SLACK
    open_K = np.flatnonzero(highest_K >= min_product)
    rows, products = _NONE
    num_taken = 2 * limit + 16
    while True:
        taken, rest_highest = _highest(open_K, highest_K, num_taken)
        asked = taken if among is None else among[taken]
        found_rows, found_products = exact(asked)
        rows, products = np.concatenate([rows, found_rows]), np.concatenate([products, found_products])
        best_rows, best_products = _best(rows, products, groups_N, limit, min_product)
        if len(taken) == len(open_K):
            return best_rows, best_products
        if len(best_rows) == limit and best_products[-1] > rest_highest:
            return best_rows, best_products
        open_K = open_K[~np.isin(open_K, taken)]
        if len(best_rows) == limit:  # whatever may still be better, or as good
            open_K = open_K[highest_K[open_K] >= best_products[-1]]
            num_taken = len(open_K)
        else:
            num_taken *= 4


def _highest(open_K: np.ndarray, highest_K: np.ndarray, num: int) -> tuple[np.ndarray, float]:
    """Return the ``num`` rows with the highest bounds, and the highest bound of the others."""
    if num >= len(open_K):
        return open_K, -np.inf
    order = np.argpartition(-highest_K[open_K], num)
    return open_K[order[:num]], float(highest_K[open_K[order[num]]])


def _best(
    rows: np.ndarray, products: np.ndarray, groups_N: np.ndarray, limit: int, min_product: float
) -> tuple[np.ndarray, np.ndarray]:
    kept = np.flatnonzero(products >= min_product)
    rows, products = rows[kept], products[kept]
    order = np.lexsort((rows, groups_N[rows], -products))
    _, first = np.unique(groups_N[rows[order]], return_index=True)
    best = order[np.sort(first)][:limit]
    return rows[best], products[best]

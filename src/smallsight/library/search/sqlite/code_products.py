"""Multiplies rows of 8 bits with one vector, on several cores: in smallsight-kernels, or else in numpy.

Both add in another order, so that products differ by about 1e-7; the bounds of their error leave room for
that.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeAlias

import numpy as np

from smallsight.machine.extension import find_extension

# Writes the products of int8 [N, D] times float32 [N] with float32 [D] to float32 [N].
Multiply: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]

_ROWS_AT_ONCE = 1_024  # decoded, they fit into the cache
_MIN_ROWS_PER_THREAD, _MAX_THREADS = 25_000, 4  # fewer take 2 ms
_MIN_ROWS_FOR_EXTENSION = 50_000  # fewer take less time than its import
_CODES_AT_ONCE = 16


def products(codes_ND: np.ndarray, scales_N: np.ndarray, query_D: np.ndarray) -> np.ndarray:
    """Return float32 [N]."""
    products_N = np.empty(len(codes_ND), np.float32)
    multiply = _multiply_for(*codes_ND.shape)

    def run(start: int, stop: int) -> None:
        rows = slice(start, stop)
        multiply(codes_ND[rows], scales_N[rows], query_D, products_N[rows])

    _in_runs(len(codes_ND), run)
    return products_N


def products_of_rows(
    codes_ND: np.ndarray, scales_N: np.ndarray, query_D: np.ndarray, rows_K: np.ndarray
) -> np.ndarray:
    """Return float32 [K], of these rows alone."""
    products_K = np.empty(len(rows_K), np.float32)
    multiply = _multiply_for(len(rows_K), codes_ND.shape[1])

    def run(start: int, stop: int) -> None:
        for first in range(start, stop, _ROWS_AT_ONCE):
            part = slice(first, min(first + _ROWS_AT_ONCE, stop))
            rows_R = rows_K[part]
            multiply(codes_ND[rows_R], scales_N[rows_R], query_D, products_K[part])

    _in_runs(len(rows_K), run)
    return products_K


def multiply_in_numpy(
    codes_ND: np.ndarray, scales_N: np.ndarray, query_D: np.ndarray, products_N: np.ndarray
) -> None:
    """Write the products, float32 [N]: rows are decoded in parts that fit into the cache."""
    num_rows, num_dimensions = codes_ND.shape
    decoded_RD = np.empty((min(num_rows, _ROWS_AT_ONCE), num_dimensions), np.float32)
    for first in range(0, num_rows, _ROWS_AT_ONCE):
        last = min(first + _ROWS_AT_ONCE, num_rows)
        rows_RD = decoded_RD[: last - first]
        np.copyto(rows_RD, codes_ND[first:last])
        np.vecdot(rows_RD, query_D, out=products_N[first:last])
        products_N[first:last] *= scales_N[first:last]


def _multiply_for(num_rows: int, num_dimensions: int) -> Multiply:
    if num_rows < _MIN_ROWS_FOR_EXTENSION or num_dimensions % _CODES_AT_ONCE:
        return multiply_in_numpy
    # An extension that was built before this function was added lacks it.
    found: Multiply = getattr(find_extension().module, "multiply_codes", multiply_in_numpy)
    return found


def _in_runs(num_rows: int, run: Callable[[int, int], None]) -> None:
    """Let each thread compute a run of rows, from its start to its stop.

    The threads of a matrix product would wait for each other while the processor is busy.
    """
    num_parts = num_rows // _MIN_ROWS_PER_THREAD
    num_runs = 1 if num_parts < 2 else min(_num_threads(), num_parts)
    bounds = np.linspace(0, num_rows, num_runs + 1).astype(int).tolist()
    if num_runs == 1:
        run(*bounds)
    else:
        list(_threads().map(run, bounds[:-1], bounds[1:]))


@cache
def _num_threads() -> int:
    from smallsight.machine.cores import usable_cores  # noqa: PLC0415 - imports psutil

    return min(usable_cores(), _MAX_THREADS)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_num_threads(), thread_name_prefix="vectors")

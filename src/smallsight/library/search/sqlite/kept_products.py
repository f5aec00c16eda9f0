"""The products of the last query with all vectors, which may be computed while words are looked for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeAlias

import numpy as np

Compute: TypeAlias = Callable[[], np.ndarray]


class KeptProducts:
    """Products, float32 [N], of a query, float32 [D], with one state of the vectors; from any thread."""

    def __init__(self) -> None:
        self._last: tuple[object, bytes, Future[np.ndarray]] | None = None

    def begin(self, state: object, query_D: np.ndarray, compute: Compute) -> None:
        """Compute them in the background, unless they are known or others are being computed."""
        last = self._last
        if (last is None or last[2].done()) and self._find(state, query_D) is None:
            self._last = state, query_D.tobytes(), _background().submit(compute)

    def get(self, state: object, query_D: np.ndarray, compute: Compute) -> np.ndarray:
        """Return them: those that were begun or asked for last, or else computed here."""
        found = self._find(state, query_D)
        if found is not None:
            try:
                return found.result()
            except BaseException:
                self._last = None  # they are computed again when they are asked for again
                raise
        products_N = compute()
        computed: Future[np.ndarray] = Future()
        computed.set_result(products_N)
        self._last = state, query_D.tobytes(), computed
        return products_N

    def _find(self, state: object, query_D: np.ndarray) -> Future[np.ndarray] | None:
        last = self._last
        is_same = last is not None and last[0] is state and last[1] == query_D.tobytes()
        return last[2] if last is not None and is_same else None


@cache
def _background() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="products")

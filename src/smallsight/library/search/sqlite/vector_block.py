"""Vectors of chunks in 8 bits a number: a quarter of the memory, and of what a search reads, of float32.

With each row goes the length of what rounding took from it, which bounds the error of its products.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

_MAX_CODE = 127
_ROWS_AT_ONCE = 1_024  # decoded, they fit into the cache
_MIN_ROWS_PER_THREAD, _MAX_THREADS = 25_000, 4  # fewer take 2 ms


@dataclass(frozen=True, slots=True)
class VectorBlock:
    """Vectors by ascending chunk id: int8 [N, D] times float32 [N], and int64 [N] each for the ids.

    The product of row n with a vector of unit length is off by ``errors_N[n]`` at most. ``mapped`` is the map
    of the file that the codes are in, if they are in one.
    """

    codes_ND: np.ndarray
    scales_N: np.ndarray
    errors_N: np.ndarray
    chunk_ids_N: np.ndarray
    content_ids_N: np.ndarray
    mapped: mmap.mmap | None = None

    @classmethod
    def of_vectors(
        cls, vectors_ND: np.ndarray, chunk_ids_N: np.ndarray, content_ids_N: np.ndarray
    ) -> VectorBlock:
        """Quantise float32 [N, D], each row by its largest number."""
        scales_N = (np.abs(vectors_ND).max(axis=1, initial=0.0) / _MAX_CODE).astype(np.float32)
        divisors_N1 = np.where(scales_N > 0, scales_N, 1)[:, None]
        codes_ND = np.rint(vectors_ND / divisors_N1).astype(np.int8)
        errors_N = np.linalg.norm(vectors_ND - codes_ND * scales_N[:, None], axis=1).astype(np.float32)
        return cls(codes_ND, scales_N, errors_N, chunk_ids_N, content_ids_N)

    def __len__(self) -> int:
        return len(self.chunk_ids_N)

    def free_pages(self) -> None:
        """Give the memory of mapped codes back to the system; what is read again comes from the file."""
        if self.mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.mapped.madvise(mmap.MADV_DONTNEED)

    def vectors_at(self, rows_K: np.ndarray) -> np.ndarray:
        """Return float32 [K, D]."""
        vectors_KD: np.ndarray = self.codes_ND[rows_K] * self.scales_N[rows_K, None]
        return vectors_KD

    def slice(self, rows: np.ndarray) -> VectorBlock:
        """Return a block of these rows, in memory."""
        return VectorBlock(
            self.codes_ND[rows],
            self.scales_N[rows],
            self.errors_N[rows],
            self.chunk_ids_N[rows],
            self.content_ids_N[rows],
        )

    def times(self, query_D: np.ndarray) -> np.ndarray:
        """Return the products with a vector, float32 [N].

        Each thread takes a run of rows, and multiplies them in parts that fit into its cache; those of a
        matrix product would wait for each other while the processor is busy.
        """
        products_N = np.empty(len(self), np.float32)
        num_parts = len(self) // _MIN_ROWS_PER_THREAD
        num_runs = 1 if num_parts < 2 else min(_num_threads(), num_parts)
        bounds = np.linspace(0, len(self), num_runs + 1).astype(int).tolist()
        runs = [(start, stop, query_D, products_N) for start, stop in pairwise(bounds)]
        if num_runs == 1:
            self._multiply(*runs[0])
        else:
            list(_threads().map(lambda run: self._multiply(*run), runs))
        return products_N

    def _multiply(self, start: int, stop: int, query_D: np.ndarray, products_N: np.ndarray) -> None:
        decoded_RD = np.empty((min(stop - start, _ROWS_AT_ONCE), self.codes_ND.shape[1]), np.float32)
        for first in range(start, stop, _ROWS_AT_ONCE):
            last = min(first + _ROWS_AT_ONCE, stop)
            rows_RD = decoded_RD[: last - first]
            np.copyto(rows_RD, self.codes_ND[first:last])
            np.vecdot(rows_RD, query_D, out=products_N[first:last])
            products_N[first:last] *= self.scales_N[first:last]

    def holds(self, row: int, vector_D: np.ndarray) -> bool:
        """Return whether a row is this vector, float32 [D]."""
        fresh = VectorBlock.of_vectors(vector_D[None], self.chunk_ids_N[:1], self.content_ids_N[:1])
        return bool(
            np.array_equal(fresh.codes_ND[0], self.codes_ND[row]) and fresh.scales_N[0] == self.scales_N[row]
        )


@cache
def _num_threads() -> int:
    from smallsight.machine.cores import usable_cores  # noqa: PLC0415 - imports psutil

    return min(usable_cores(), _MAX_THREADS)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_num_threads(), thread_name_prefix="vectors")


EMPTY = VectorBlock(
    np.empty((0, 0), np.int8),
    np.empty(0, np.float32),
    np.empty(0, np.float32),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
)


def joined(blocks: Sequence[VectorBlock]) -> VectorBlock:
    """Return one block of the rows of all."""
    filled = [block for block in blocks if len(block)]
    if len(filled) < 2:
        return filled[0] if filled else EMPTY
    return VectorBlock(
        np.concatenate([block.codes_ND for block in filled]),
        np.concatenate([block.scales_N for block in filled]),
        np.concatenate([block.errors_N for block in filled]),
        np.concatenate([block.chunk_ids_N for block in filled]),
        np.concatenate([block.content_ids_N for block in filled]),
    )

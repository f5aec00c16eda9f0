"""Vectors of chunks in 8 bits a number: a quarter of the memory, and of what a search reads, of float32.

With each row goes the length of what rounding took from it, which bounds the error of its products.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smallsight.library.search.sqlite.code_products import products, products_of_rows

_MAX_CODE = 127
_MAX_IDS_PER_ROW = 16  # of contents, up to which a table of all is faster than comparing


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
        """Return the products with a vector, float32 [N]."""
        return products(self.codes_ND, self.scales_N, query_D)

    def times_at(self, rows_K: np.ndarray, query_D: np.ndarray) -> np.ndarray:
        """Return the products of some rows with a vector, float32 [K]."""
        return products_of_rows(self.codes_ND, self.scales_N, query_D, rows_K)

    def holds(self, row: int, vector_D: np.ndarray) -> bool:
        """Return whether a row is this vector, float32 [D]."""
        fresh = VectorBlock.of_vectors(vector_D[None], self.chunk_ids_N[:1], self.content_ids_N[:1])
        return bool(
            np.array_equal(fresh.codes_ND[0], self.codes_ND[row]) and fresh.scales_N[0] == self.scales_N[row]
        )


EMPTY = VectorBlock(
    np.empty((0, 0), np.int8),
    np.empty(0, np.float32),
    np.empty(0, np.float32),
    np.empty(0, np.int64),
    np.empty(0, np.int64),
)


def rows_of(content_ids_N: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return int64 [K]: the rows of these contents, ascending."""
    highest = int(content_ids_N.max(initial=0))
    if highest > _MAX_IDS_PER_ROW * len(content_ids_N):
        return np.flatnonzero(np.isin(content_ids_N, among))
    is_among = np.zeros(highest + 1, bool)
    is_among[among[among <= highest]] = True
    return np.flatnonzero(is_among[content_ids_N])


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

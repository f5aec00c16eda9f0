"""Finds nearly the same hashes among very many, without comparing all with all.

Two near hashes agree in all bits of at least one of several samples of bits, nearly always; only those that
do are compared. Memory is bounded by blocks of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["HashIndex", "NearHashes"]

_NUM_SAMPLES, _SAMPLE_BITS = 14, 14
_BITS_SHIFT, _ROW_SHIFT = 31, 37
_PAIRS_PER_BLOCK = 100_000  # the arrays of a block stay in the cache
_MOST_PER_KEY = 2_000  # known hashes with the same sample; more say that it tells nothing apart
_MOST_PER_HASH = 32  # the nearest, and of those the first


@dataclass(frozen=True, slots=True, eq=False)
class NearHashes:
    """Pairs of near hashes: int64 rows [P] of both sides, and the bits [P] that differ."""

    rows_P: npt.NDArray[np.int64]
    known_rows_P: npt.NDArray[np.int64]
    bits_P: npt.NDArray[np.int64]


class HashIndex:
    """Known hashes, uint64 [M], sorted by each sample of their bits: 64 bytes a hash and 2 MB."""

    def __init__(self, known_M: npt.NDArray[np.uint64]) -> None:
        self._known_M = known_M
        rng = np.random.default_rng(64)
        # The highest bit is the mean brightness, which is not part of the hash.
        self._samples = [
            np.sort(rng.choice(63, _SAMPLE_BITS, replace=False)).astype(np.uint64)
            for _ in range(_NUM_SAMPLES)
        ]
        self._sorted: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]] = []
        for places in self._samples:
            keys_M = _sampled(known_M, places)
            order_M = np.argsort(keys_M, kind="stable").astype(np.int32)
            ends = np.cumsum(np.bincount(keys_M, minlength=2**_SAMPLE_BITS))
            self._sorted.append((np.concatenate([[0], ends]), order_M))

    def near(self, hashes_N: npt.NDArray[np.uint64], max_bits: int) -> NearHashes:
        """Return the pairs of a hash and a known one that differ in at most ``max_bits``, each once."""
        found: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
        for number in range(_NUM_SAMPLES):
            found += self._agreeing(hashes_N, number, max_bits)
        pairs_P = np.unique(np.concatenate(found))
        rows_P = pairs_P >> _ROW_SHIFT
        is_kept = np.arange(len(rows_P)) - np.searchsorted(rows_P, rows_P) < _MOST_PER_HASH
        pairs_P, rows_P = pairs_P[is_kept], rows_P[is_kept]
        known_P = pairs_P & ((1 << _BITS_SHIFT) - 1)
        return NearHashes(rows_P, known_P, (pairs_P >> _BITS_SHIFT) & 63)

    def _agreeing(
        self, hashes_N: npt.NDArray[np.uint64], number: int, max_bits: int
    ) -> list[npt.NDArray[np.int64]]:
        """Return the near pairs that agree in one sample: row, bits and known row in one number each."""
        starts, order_M = self._sorted[number]
        keys_N = _sampled(hashes_N, self._samples[number])
        starts_N = starts[keys_N]
        counts_N = np.minimum(starts[keys_N.astype(np.int64) + 1] - starts_N, _MOST_PER_KEY)
        ends_N = np.cumsum(counts_N)
        found: list[npt.NDArray[np.int64]] = []
        first = 0
        while first < len(keys_N):
            done = int(ends_N[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends_N, done + _PAIRS_PER_BLOCK)))
            counts = counts_N[first:last]
            places_P = np.arange(counts.sum())
            places_P += np.repeat(starts_N[first:last] - (ends_N[first:last] - counts - done), counts)
            known_P = order_M[places_P]
            bits_P = np.bitwise_count(np.repeat(hashes_N[first:last], counts) ^ self._known_M[known_P])
            near_P = np.flatnonzero(bits_P <= max_bits)
            rows_P = first + np.searchsorted(np.cumsum(counts), near_P, side="right")
            bits = bits_P[near_P].astype(np.int64) << _BITS_SHIFT
            found.append((rows_P << _ROW_SHIFT) | bits | known_P[near_P])
            first = last
        return found


def _sampled(hashes_N: npt.NDArray[np.uint64], places: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint16]:
    keys_N = np.zeros(len(hashes_N), np.uint16)
    for number, place in enumerate(places):
        keys_N |= (((hashes_N >> place) & np.uint64(1)) << np.uint64(number)).astype(np.uint16)
    return keys_N

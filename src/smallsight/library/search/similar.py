"""Finds pictures that look alike, by perceptual hashes.

Two pictures are near duplicates when both of their hashes (of structure, and of gradients) differ in few
bits: either hash alone confuses flat pictures too often.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_HASH_BITS = 64
_MAX_PARTS = 12
_ROWS_PER_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Hashes:
    """Both hashes of every content that has them; uint64 [N], by ascending content id."""

    content_ids_N: np.ndarray
    phashes_N: np.ndarray
    dhashes_N: np.ndarray


def bits_to(hashes: Hashes, phash: int, dhash: int) -> np.ndarray:
    """Return int64 [N]: the bits of 64 that differ from one picture, by the hash that differs more."""
    one = Hashes(np.zeros(1, np.int64), np.array([phash], np.uint64), np.array([dhash], np.uint64))
    return _distances(hashes, one)[:, 0]


def near_groups(hashes: Hashes, max_bits: int) -> list[tuple[int, ...]]:
    """Return groups of content ids that look alike, the oldest first in each.

    Every picture of a group differs from the first in at most max_bits of 64, so that a group cannot drift
    through a chain of small steps; a picture is in at most one group.
    """
    both_N2 = np.stack([hashes.phashes_N, hashes.dhashes_N], axis=1)
    _, first, look_N = np.unique(both_N2, axis=0, return_index=True, return_inverse=True)
    neighbours = _neighbours(selected(hashes, first), max_bits)
    contents_of: dict[int, list[int]] = defaultdict(list)
    for content_id, look in zip(hashes.content_ids_N.tolist(), look_N.tolist(), strict=True):
        contents_of[look].append(content_id)
    return _groups(contents_of, neighbours)


def selected(hashes: Hashes, rows: np.ndarray) -> Hashes:
    """Return the hashes at these rows, given as indices or as a mask."""
    return Hashes(hashes.content_ids_N[rows], hashes.phashes_N[rows], hashes.dhashes_N[rows])


def _groups(contents_of: dict[int, list[int]], neighbours: dict[int, set[int]]) -> list[tuple[int, ...]]:
    """Group looks around the one seen first, and return the contents of each group of two or more."""
    grouped: set[int] = set()
    groups = []
    for look in sorted(contents_of, key=lambda one: contents_of[one][0]):
        if look in grouped:
            continue
        members = (neighbours.get(look, set()) - grouped) | {look}
        grouped |= members
        contents = sorted(content_id for member in members for content_id in contents_of[member])
        if len(contents) > 1:
            groups.append(tuple(contents))
    return groups


def _neighbours(hashes: Hashes, max_bits: int) -> dict[int, set[int]]:
    """Return the rows within max_bits of each row that has any.

    If hashes are split into max_bits + 1 parts, two near ones agree in at least one part, so only rows that
    share a part are compared. Parts of few bits would be shared by too many; then all rows are compared.
    """
    found: dict[int, set[int]] = defaultdict(set)
    num_parts = max_bits + 1
    parts = _parts(hashes.phashes_N, num_parts) if num_parts <= _MAX_PARTS else [hashes.phashes_N * 0]
    for part_N in parts:
        order = np.argsort(part_N, kind="stable")
        edges = np.flatnonzero(np.diff(part_N[order])) + 1
        for rows in np.split(order, edges):
            for start in range(0, len(rows), _ROWS_PER_BLOCK):
                block, rest = rows[start : start + _ROWS_PER_BLOCK], rows[start:]
                near = np.argwhere(_distances(selected(hashes, block), selected(hashes, rest)) <= max_bits)
                for one, other in zip(block[near[:, 0]].tolist(), rest[near[:, 1]].tolist(), strict=True):
                    if one != other:
                        found[one].add(other)
                        found[other].add(one)
    return found


def _distances(hashes: Hashes, others: Hashes) -> np.ndarray:
    """Return int64 [N, M]: differing bits between both, by the hash that differs more."""
    by_structure_NM = np.bitwise_count(hashes.phashes_N[:, None] ^ others.phashes_N)
    by_gradients_NM = np.bitwise_count(hashes.dhashes_N[:, None] ^ others.dhashes_N)
    larger_NM: np.ndarray = np.maximum(by_structure_NM, by_gradients_NM).astype(np.int64)
    return larger_NM


def _parts(hashes_N: np.ndarray, num_parts: int) -> list[np.ndarray]:
    edges = np.linspace(0, _HASH_BITS, num_parts + 1).astype(int).tolist()
    return [
        (hashes_N >> np.uint64(start)) & np.uint64((1 << (end - start)) - 1) for start, end in pairwise(edges)
    ]

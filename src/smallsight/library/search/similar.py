"""Pictures that look alike, by perceptual hashes, and files that are the same.

Two pictures are near duplicates when both of their hashes (of structure, and of gradients) differ in few
bits: either alone mistakes flat pictures for each other too often.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.search.sqlite.matching import raw_cursor

_HASH_BITS = 64
_MAX_PARTS = 12
_ROWS_PER_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Hashes:
    """Both hashes of every content that has them; uint64 [N], by ascending content id."""

    content_ids_N: np.ndarray
    phashes_N: np.ndarray
    dhashes_N: np.ndarray


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Files with the same bytes."""

    content_id: int
    paths: tuple[Path, ...]


def read_hashes(connection: sa.Connection) -> Hashes:
    """Read the hashes of all contents, also of those without a file."""
    rows = raw_cursor(connection).execute(
        "SELECT id, phash, dhash FROM content WHERE phash IS NOT NULL AND dhash IS NOT NULL ORDER BY id"
    )
    table_N3 = np.array(rows.fetchall(), dtype=np.int64).reshape(-1, 3)
    unsigned_N2 = np.ascontiguousarray(table_N3[:, 1:]).view(np.uint64)
    return Hashes(table_N3[:, 0], unsigned_N2[:, 0], unsigned_N2[:, 1])


def differing_bits(hashes: Hashes, row: int) -> np.ndarray:
    """Return int64 [N]: differing bits of 64 from one picture, by the hash that differs more."""
    return _distances(hashes, np.arange(len(hashes.content_ids_N)), np.array([row]))[:, 0]


def near_duplicates(database: Database, max_bits: int) -> list[tuple[int, ...]]:
    """Return groups of content ids that look alike, the oldest first in each.

    Every picture of a group differs from its first in at most max_bits of 64, so a group cannot drift from
    one look to another through a chain of small steps; a picture is in one group at most.
    """
    with database.reading() as connection:
        everything = read_hashes(connection)
        rows = connection.exec_driver_sql("SELECT content_id FROM search_text")
        present = np.fromiter((row[0] for row in rows), dtype=np.int64)
    hashes = _selected(everything, np.isin(everything.content_ids_N, present))
    both_N2 = np.stack([hashes.phashes_N, hashes.dhashes_N], axis=1)
    _, first, look_N = np.unique(both_N2, axis=0, return_index=True, return_inverse=True)
    neighbours = _neighbours(_selected(hashes, first), max_bits)
    contents_of: dict[int, list[int]] = defaultdict(list)
    for content_id, look in zip(hashes.content_ids_N.tolist(), look_N.tolist(), strict=True):
        contents_of[look].append(content_id)
    return _groups(contents_of, neighbours)


def duplicates(database: Database) -> list[Duplicates]:
    """Return contents that more than one present file has, by content id."""
    with database.reading() as connection:
        rows = connection.exec_driver_sql(
            """SELECT picture.content_id, folder.path, picture.path
               FROM picture JOIN folder ON folder.id = picture.folder_id
               WHERE vanished_at_s IS NULL AND content_id IN (
                   SELECT content_id FROM picture WHERE vanished_at_s IS NULL AND content_id IS NOT NULL
                   GROUP BY content_id HAVING count(*) > 1)
               ORDER BY picture.content_id, picture.id"""
        ).fetchall()
    paths: dict[int, list[Path]] = defaultdict(list)
    for content_id, root, path in rows:
        paths[content_id].append(Path(root) / path)
    return [Duplicates(content_id, tuple(found)) for content_id, found in paths.items()]


def _selected(hashes: Hashes, rows: np.ndarray) -> Hashes:
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
    """Return for each row with any the rows within max_bits of it.

    Cut into one part more than bits may differ, two near hashes agree in at least one part, so only rows that
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
                near = np.argwhere(_distances(hashes, block, rest) <= max_bits)
                for one, other in zip(block[near[:, 0]].tolist(), rest[near[:, 1]].tolist(), strict=True):
                    if one != other:
                        found[one].add(other)
                        found[other].add(one)
    return found


def _distances(hashes: Hashes, rows_A: np.ndarray, rows_B: np.ndarray) -> np.ndarray:
    """Return int64 [A, B]: differing bits between rows, by the hash that differs more."""
    by_structure_AB = np.bitwise_count(hashes.phashes_N[rows_A][:, None] ^ hashes.phashes_N[rows_B])
    by_gradients_AB = np.bitwise_count(hashes.dhashes_N[rows_A][:, None] ^ hashes.dhashes_N[rows_B])
    larger_AB: np.ndarray = np.maximum(by_structure_AB, by_gradients_AB).astype(np.int64)
    return larger_AB


def _parts(hashes_N: np.ndarray, num_parts: int) -> list[np.ndarray]:
    edges = np.linspace(0, _HASH_BITS, num_parts + 1).astype(int).tolist()
    return [
        (hashes_N >> np.uint64(start)) & np.uint64((1 << (end - start)) - 1) for start, end in pairwise(edges)
    ]

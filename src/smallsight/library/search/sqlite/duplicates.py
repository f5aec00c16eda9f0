"""Reads the perceptual hashes of a library, and finds files in it that are identical or look alike."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smallsight.library.database import Database
from smallsight.library.search.similar import Hashes, near_groups, selected
from smallsight.library.search.sqlite.matching import raw_cursor


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Files with the same bytes."""

    content_id: int
    paths: tuple[Path, ...]


def read_hashes(cursor: sqlite3.Cursor) -> Hashes:
    """Read the hashes of all contents, including those without a file."""
    rows = cursor.execute(
        "SELECT id, phash, dhash FROM content WHERE phash IS NOT NULL AND dhash IS NOT NULL ORDER BY id"
    )
    table_N3 = np.array(rows.fetchall(), dtype=np.int64).reshape(-1, 3)
    unsigned_N2 = np.ascontiguousarray(table_N3[:, 1:]).view(np.uint64)
    return Hashes(table_N3[:, 0], unsigned_N2[:, 0], unsigned_N2[:, 1])


def near_duplicates(database: Database, max_bits: int) -> list[tuple[int, ...]]:
    """Return groups of contents that have a file and look alike within max_bits; see ``near_groups``."""
    with database.reading() as connection:
        cursor = raw_cursor(connection)
        everything = read_hashes(cursor)
        rows = cursor.execute("SELECT content_id FROM search_text")
        present = np.fromiter((row[0] for row in rows), dtype=np.int64)
    return near_groups(selected(everything, np.isin(everything.content_ids_N, present)), max_bits)


def duplicates(database: Database) -> list[Duplicates]:
    """Return the contents that have more than one present file, by content id."""
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

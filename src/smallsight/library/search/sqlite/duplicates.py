"""Reads the perceptual hashes of a library, and finds files in it that are identical or look alike."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smallsight.library.database import Database
from smallsight.library.search.same_text import say_different_things
from smallsight.library.search.similar import Hashes, near_groups, selected

_LITTLE_DOUBT = 0.8  # confidence


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
    """Return groups of contents that have a file, look alike within max_bits and say the same.

    See ``near_groups`` and ``say_different_things``. Lines that were read with doubt do not count, and
    a picture without text stays with the first of its group.
    """
    with database.cursor() as cursor:
        everything = read_hashes(cursor)
        rows = cursor.execute("SELECT content_id FROM search_text")
        present = np.fromiter((row[0] for row in rows), dtype=np.int64)
        groups = near_groups(selected(everything, np.isin(everything.content_ids_N, present)), max_bits)
        texts = certain_texts(cursor, [content_id for group in groups for content_id in group])
    return [part for group in groups for part in _parted_by_text(group, texts) if len(part) > 1]


def _parted_by_text(group: Sequence[int], texts: dict[int, str]) -> list[tuple[int, ...]]:
    """Part a group so that no text of a part differs from the first text in it."""
    parts: list[list[int]] = []
    said: list[str] = []
    for content_id in sorted(group, key=lambda one: not texts.get(one)):
        text = texts.get(content_id, "")
        for part, first_text in zip(parts, said, strict=True):
            if not say_different_things(first_text, text):
                part.append(content_id)
                break
        else:
            parts.append([content_id])
            said.append(text)
    return sorted(tuple(sorted(part)) for part in parts)


def certain_texts(cursor: sqlite3.Cursor, content_ids: Sequence[int]) -> dict[int, str]:
    """Return what a person wrote to be the text, or the lines read with little doubt."""
    if not content_ids:
        return {}
    rows = cursor.execute(
        """SELECT id, CASE ocr_source WHEN 'machine' THEN (
               SELECT group_concat(text, char(10)) FROM (
                   SELECT text FROM text_line WHERE content_id = content.id AND text <> '' AND confidence >= ?
                   ORDER BY position)) ELSE ocr_text END
           FROM content WHERE id IN (SELECT value FROM json_each(?))""",
        (_LITTLE_DOUBT, json.dumps(list(content_ids))),
    )
    return {content_id: text or "" for content_id, text in rows}


def duplicates(database: Database) -> list[Duplicates]:
    """Return the contents that have more than one present file, by content id."""
    with database.cursor() as cursor:
        rows = cursor.execute(
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

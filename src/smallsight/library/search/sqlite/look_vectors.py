"""Reads some of the vectors of pictures and frames exactly as they are stored."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

import numpy as np


def vectors_of_each(cursor: sqlite3.Cursor, key: str, content_ids: Sequence[int]) -> dict[int, np.ndarray]:
    """Return the vectors, float32 [D], of those of these contents that have one; frames do not count."""
    rows = cursor.execute(
        """SELECT content_id, vector FROM picture_vector
           WHERE content_id IN (SELECT value FROM json_each(?)) AND embedder_key = ? AND time_s IS NULL""",
        (json.dumps(list(content_ids)), key),
    )
    return {content_id: _decoded(vector) for content_id, vector in rows}


def vectors_at(cursor: sqlite3.Cursor, row_ids: Sequence[int]) -> dict[int, np.ndarray]:
    """Return the vectors, float32 [D], of these rows of the table, of pictures and frames."""
    rows = cursor.execute(
        "SELECT id, vector FROM picture_vector WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(row_ids)),),
    )
    return {row_id: _decoded(vector) for row_id, vector in rows}


def times_at(cursor: sqlite3.Cursor, row_ids: Sequence[int]) -> dict[int, float]:
    """Return when frames are shown, in seconds; rows of still pictures are missing."""
    rows = cursor.execute(
        """SELECT picture_vector.id, coalesce(time_s, still_s) AS shown_s
           FROM picture_vector JOIN content ON content.id = content_id
           WHERE picture_vector.id IN (SELECT value FROM json_each(?)) AND shown_s IS NOT NULL""",
        (json.dumps(list(row_ids)),),
    )
    return dict(rows.fetchall())


def sample_vectors(cursor: sqlite3.Cursor, key: str, limit: int) -> np.ndarray:
    """Return float32 [N, D]: about ``limit`` vectors of the model with this key, every n-th by id.

    Frames count as pictures, because a search compares them all.
    """
    first, last = cursor.execute("SELECT min(id), max(id) FROM picture_vector").fetchone()
    if first is None:
        return np.empty((0, 0), np.float32)
    step = max(1, -(-(last - first + 1) // limit))
    ids = json.dumps(list(range(first, last + 1, step)))
    rows = cursor.execute(
        """SELECT vector FROM picture_vector
           WHERE id IN (SELECT value FROM json_each(?)) AND embedder_key = ? ORDER BY id""",
        (ids, key),
    ).fetchall()
    return np.stack([_decoded(row[0]) for row in rows]) if rows else np.empty((0, 0), np.float32)


def _decoded(vector: bytes) -> np.ndarray:
    return np.frombuffer(vector, "<f2").astype(np.float32)

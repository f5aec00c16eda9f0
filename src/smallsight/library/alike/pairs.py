"""Pairs of contents that show the same picture or a similar one, and why: stored, and read for grouping."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.library.alike.views import VIEW_DTYPE
from smallsight.library.schema import alike_pair

__all__ = ["AlikePair", "Reason", "forget_pairs", "read_pairs", "read_views", "store_pairs", "store_views"]


class Reason(StrEnum):
    """How two pictures differ, in words for people."""

    IDENTICAL = "identical files"
    ENCODED = "encoded again"
    RESIZED = "other size"
    FORMAT = "other format"
    BORDER = "border added"
    CROP = "cropped"
    CAPTION = "caption added"
    RETOUCHED = "small part changed"
    MIRRORED = "mirrored"
    TURNED = "turned"
    OTHER_WORDS = "same template, other words"
    OTHER_COLOURS = "other colours"
    SCENE = "same scene"


_STORE_VIEWS = """INSERT INTO look_alike (content_id, views) VALUES (?, ?)
    ON CONFLICT (content_id) DO UPDATE SET views = excluded.views"""  # once for each picture


@dataclass(frozen=True, slots=True)
class AlikePair:
    """Two contents, the lower id first; ``is_same`` is by look alone.

    ``is_upright`` is False if one is mirrored or turned, so that their texts cannot be compared.
    ``correlation`` is that of the aligned parts. ``changed_id`` is the one that was cropped, or got a border
    or a caption; None if neither or both were.
    """

    first_id: int
    second_id: int
    is_same: bool
    is_upright: bool
    correlation: float
    reasons: tuple[Reason, ...]
    changed_id: int | None = None


def store_views(connection: sa.Connection, content_id: int, views_N: npt.NDArray[np.void]) -> None:
    """Store the views of a content, replacing those it had."""
    connection.exec_driver_sql(_STORE_VIEWS, (content_id, views_N.tobytes()))


def read_views(cursor: sqlite3.Cursor) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.void]]:
    """Return the views of all contents, ``VIEW_DTYPE`` [N], with the content id of each."""
    ids: list[int] = []
    blobs: list[bytes] = []
    for content_id, blob in cursor.execute("SELECT content_id, views FROM look_alike ORDER BY content_id"):
        num = len(blob) // VIEW_DTYPE.itemsize
        ids += [content_id] * num
        blobs.append(blob[: num * VIEW_DTYPE.itemsize])
    return np.array(ids, np.int64), np.frombuffer(b"".join(blobs), VIEW_DTYPE)


def store_pairs(connection: sa.Connection, pairs: Sequence[AlikePair]) -> None:
    """Store pairs, replacing what is known of the same two contents."""
    if not pairs:
        return
    statement = insert(alike_pair)
    columns = ("is_same", "is_upright", "correlation", "reasons", "changed_id")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["first_id", "second_id"],
            set_={name: statement.excluded[name] for name in columns},
        ),
        [
            {
                "first_id": one.first_id,
                "second_id": one.second_id,
                "is_same": one.is_same,
                "is_upright": one.is_upright,
                "correlation": one.correlation,
                "reasons": json.dumps(one.reasons),
                "changed_id": one.changed_id,
            }
            for one in pairs
        ],
    )


def forget_pairs(connection: sa.Connection, content_ids: Sequence[int], above: set[int]) -> None:
    """Delete the pairs of contents that are compared again, except with those that still will be.

    ``above`` are the contents compared by now: a pair with a higher id that is not among them is found later.
    """
    lost = connection.exec_driver_sql(
        """SELECT first_id, second_id FROM alike_pair, json_each(?) WHERE value IN (first_id, second_id)""",
        (json.dumps(list(content_ids)),),
    ).all()
    ids = set(content_ids)
    for first_id, second_id in lost:
        if second_id in ids or second_id in above:
            connection.execute(
                alike_pair.delete().where(
                    alike_pair.c.first_id == first_id, alike_pair.c.second_id == second_id
                )
            )


def read_pairs(cursor: sqlite3.Cursor) -> list[AlikePair]:
    """Return the pairs of which both contents have a file, those of the lowest ids first."""
    rows = cursor.execute(
        """SELECT first_id, second_id, is_same, is_upright, correlation, reasons, changed_id
           FROM alike_pair
           WHERE EXISTS (SELECT 1 FROM search_text WHERE content_id = first_id)
           AND EXISTS (SELECT 1 FROM search_text WHERE content_id = second_id)
           ORDER BY first_id, second_id"""
    )
    return [
        AlikePair(
            row[0],
            row[1],
            bool(row[2]),
            bool(row[3]),
            row[4],
            tuple(map(Reason, json.loads(row[5]))),
            row[6],
        )
        for row in rows
    ]

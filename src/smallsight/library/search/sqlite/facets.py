"""Writes the facets: one row for each content that has a file, of what it is filtered and sorted by.

They are derived from content, picture and content_tag and can be rebuilt at any time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from smallsight.library.local_time import local_wall, month_number
from smallsight.library.schema import facet
from smallsight.library.search.kinds import kind_of
from smallsight.library.search.sqlite.search_text import refresh_search_text
from smallsight.library.search.tokens import search_form

__all__ = ["refresh_facets", "refresh_index"]

_CONTENTS_PER_BATCH = 1_000
_NUMBER = re.compile(r"\d+")
_COLUMNS = tuple(column.name for column in facet.c)
_UPSERT = (  # a REPLACE would not run the triggers that count months
    f"INSERT INTO facet ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608
    "ON CONFLICT (content_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])
)

_FacetRow = tuple[int | float | str | bool, ...]


@dataclass(slots=True)
class _Files:
    """What the present files of one content say."""

    name: str
    mtime_ns: int
    seen_at_s: float


def refresh_index(connection: sa.Connection, content_ids: Sequence[int]) -> None:
    """Update the rows of these contents in the search index and in the facets."""
    refresh_search_text(connection, content_ids)
    refresh_facets(connection, content_ids)


def refresh_facets(connection: sa.Connection, content_ids: Sequence[int]) -> None:
    """Update the facets of these contents; a content without a present file loses its row.

    Runs inside the caller's transaction on the writing connection.
    """
    ids = sorted(set(content_ids))
    for start in range(0, len(ids), _CONTENTS_PER_BATCH):
        _refresh_batch(connection, ids[start : start + _CONTENTS_PER_BATCH])


def _refresh_batch(connection: sa.Connection, ids: list[int]) -> None:
    selection = (json.dumps(ids),)
    wanted = _wanted_rows(connection, selection)
    stored: dict[int, _FacetRow] = {
        row[0]: tuple(row)
        for row in connection.exec_driver_sql(
            f"""SELECT {", ".join(_COLUMNS)} FROM facet
                WHERE content_id IN (SELECT value FROM json_each(?))""",  # noqa: S608 - constants
            selection,
        )
    }
    gone = [(content_id,) for content_id in stored.keys() - wanted.keys()]
    if gone:
        connection.exec_driver_sql("DELETE FROM facet WHERE content_id = ?", gone)
    changed = [row for content_id, row in wanted.items() if stored.get(content_id) != row]
    if changed:
        connection.exec_driver_sql(_UPSERT, changed)


def _wanted_rows(connection: sa.Connection, selection: tuple[str]) -> dict[int, _FacetRow]:
    files: dict[int, _Files] = {}
    for content_id, path, mtime_ns, seen_at_s in connection.exec_driver_sql(
        """SELECT content_id, path, mtime_ns, seen_at_s FROM picture
           WHERE content_id IN (SELECT value FROM json_each(?)) AND vanished_at_s IS NULL ORDER BY id""",
        selection,
    ):
        one = files.setdefault(content_id, _Files(path.rpartition("/")[2], mtime_ns, seen_at_s))
        one.mtime_ns = min(one.mtime_ns, mtime_ns)
        one.seen_at_s = min(one.seen_at_s, seen_at_s)
    contents = connection.exec_driver_sql(
        """SELECT id, size_bytes, format, num_frames, camera, taken_wall_s,
               coalesce(description, '') != '', coalesce(ocr_text, '') != '',
               EXISTS (SELECT 1 FROM content_tag WHERE content_id = content.id)
           FROM content WHERE id IN (SELECT value FROM json_each(?))""",
        selection,
    )
    rows: dict[int, _FacetRow] = {}
    for content_id, size_bytes, picture_format, num_frames, camera, taken_wall_s, *states in contents:
        if (found := files.get(content_id)) is None:
            continue
        date_wall_s = local_wall(found.mtime_ns / 1e9)[0] if taken_wall_s is None else taken_wall_s
        rows[content_id] = (
            content_id,
            date_wall_s,
            month_number(date_wall_s),
            name_key(found.name),
            size_bytes,
            found.seen_at_s,
            str(kind_of(picture_format, num_frames, has_camera=bool(camera))),
            camera_words(camera or ""),
            *states,
        )
    return rows


def name_key(name: str) -> str:
    """Return what names are sorted by: without case, and numbers by their value."""
    return _NUMBER.sub(lambda number: number[0].lstrip("0").zfill(12), name.casefold())


def camera_words(camera: str) -> str:
    """Return the words of a camera between spaces, so that " word " can be looked for; "" without any."""
    words = search_form(camera)
    return f" {words} " if words else ""

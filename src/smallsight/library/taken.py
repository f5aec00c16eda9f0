"""Stores when, with what and where a content was taken, from its files or another file of the same picture.

A copy without metadata takes over the date of the same picture, as long as its own files say none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from smallsight.library.local_time import local_wall
from smallsight.library.schema import content
from smallsight.library.search.sqlite.facets import refresh_facets
from smallsight.media.metadata.taken import DateTaken
from smallsight.media.metadata.words import FileWords

__all__ = ["copy_taken", "store_taken"]

_KIN = "kin"  # the origin of a date that another file of the same picture has
_COLUMNS = (
    content.c.taken_wall_s,
    content.c.taken_offset_min,
    content.c.taken_origin,
    content.c.camera,
    content.c.latitude,
    content.c.longitude,
)


def store_taken(connection: sa.Connection, content_id: int, sources: Sequence[FileWords]) -> None:
    """Store what the first of these sources say, sidecars before metadata.

    Google's date is in UTC, and the date at which a PNG changed is none of the picture: both come last.
    """
    dates = [source.taken for source in sources if source.taken is not None]
    taken = min(dates, key=_doubt, default=None)
    before = _row(connection, content_id)
    if taken is None and before.taken_origin == _KIN:
        return
    place = next((source.place for source in sources if source.place is not None), None)
    values = {
        **_date_columns(taken),
        "camera": next((source.camera for source in sources if source.camera is not None), None),
        "latitude": None if place is None else place.latitude,
        "longitude": None if place is None else place.longitude,
    }
    _store(connection, content_id, before, values)


def copy_taken(connection: sa.Connection, source_id: int, content_id: int) -> None:
    """Give a content without a date of its own that of the same picture, with its camera and place."""
    source, before = _row(connection, source_id), _row(connection, content_id)
    if source.taken_wall_s is None or before.taken_origin is not None:
        return
    values = {column.name: getattr(source, column.name) for column in _COLUMNS}
    _store(connection, content_id, before, values | {"taken_origin": _KIN})


def _row(connection: sa.Connection, content_id: int) -> sa.Row[Any]:
    columns: list[sa.Column[Any]] = list(_COLUMNS)
    return connection.execute(sa.select(*columns).where(content.c.id == content_id)).one()


def _store(connection: sa.Connection, content_id: int, before: sa.Row[Any], values: dict[str, Any]) -> None:
    if values != dict(before._mapping):  # noqa: SLF001 - SQLAlchemy's public name
        connection.execute(content.update().where(content.c.id == content_id).values(**values))
        refresh_facets(connection, [content_id])


def _doubt(taken: DateTaken) -> tuple[bool, bool]:
    return taken.is_utc, taken.origin == "png:tIME"


def _date_columns(taken: DateTaken | None) -> dict[str, float | int | str | None]:
    if taken is None:
        return {"taken_wall_s": None, "taken_offset_min": None, "taken_origin": None}
    wall_s, offset_min = taken.wall_s, taken.offset_min
    if taken.is_utc:
        wall_s, offset_min = local_wall(wall_s)
    return {
        "taken_wall_s": wall_s,
        "taken_offset_min": offset_min,
        "taken_origin": taken.origin.partition(":")[0],
    }

"""Reads captions, names of people, dates and places from the JSON files of Google Takeout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from smallsight.media.metadata.fields import FieldRole, MetadataField

__all__ = ["MAX_TAKEOUT_BYTES", "read_takeout"]

MAX_TAKEOUT_BYTES = 1024 * 1024
_MAX_PEOPLE = 100
_MAX_STAMP_CHARS = 20
_MAX_DEGREES = 180
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the field says that it is UTC
_MARKS = frozenset({"photoTakenTime", "creationTime", "imageViews", "googlePhotosOrigin"})


def read_takeout(data: bytes) -> Iterator[MetadataField]:
    """Yield the description, people, date and place of a picture's JSON; nothing for JSON of another kind.

    The title there is the name of the file and no caption.
    """
    if len(data) > MAX_TAKEOUT_BYTES:
        return
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(values, dict) or "title" not in values or not _MARKS & values.keys():
        return
    if isinstance(description := values.get("description"), str):
        yield MetadataField(FieldRole.DESCRIPTION, description, "takeout:description")
    people = values.get("people")
    for person in people[:_MAX_PEOPLE] if isinstance(people, list) else ():
        if isinstance(person, dict) and isinstance(name := person.get("name"), str):
            yield MetadataField(FieldRole.KEYWORD, name, "takeout:people")
    yield from _date(values.get("photoTakenTime"))
    for name in ("geoData", "geoDataExif"):
        place = values.get(name)
        if isinstance(place, dict):
            yield from _coordinate(FieldRole.LATITUDE, place.get("latitude"), f"takeout:{name}")
            yield from _coordinate(FieldRole.LONGITUDE, place.get("longitude"), f"takeout:{name}")


def _date(taken: Any) -> Iterator[MetadataField]:  # noqa: ANN401 - parsed JSON
    stamp = taken.get("timestamp") if isinstance(taken, dict) else None
    if isinstance(stamp, str) and len(stamp) <= _MAX_STAMP_CHARS:
        with suppress(ValueError, OverflowError):
            moment = _EPOCH + timedelta(seconds=int(stamp))
            yield MetadataField(FieldRole.TAKEN, f"{moment.isoformat()}Z", "takeout:photoTakenTime")


def _coordinate(role: FieldRole, degrees: Any, origin: str) -> Iterator[MetadataField]:  # noqa: ANN401
    if isinstance(degrees, float | int) and not isinstance(degrees, bool) and abs(degrees) <= _MAX_DEGREES:
        yield MetadataField(role, f"{degrees:.7f}", origin)

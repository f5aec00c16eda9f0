"""Reads captions and names of people from the JSON files of Google Takeout."""

from __future__ import annotations

import json
from collections.abc import Iterator

from smallsight.media.metadata.words import FieldRole, MetadataField

__all__ = ["MAX_TAKEOUT_BYTES", "read_takeout"]

MAX_TAKEOUT_BYTES = 1024 * 1024
_MAX_PEOPLE = 100
_MARKS = frozenset({"photoTakenTime", "creationTime", "imageViews", "googlePhotosOrigin"})


def read_takeout(data: bytes) -> Iterator[MetadataField]:
    """Yield the description and the people of a picture's JSON; nothing for JSON of another kind.

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

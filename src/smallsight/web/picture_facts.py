"""When, where and with what a picture was taken, for its page."""

from __future__ import annotations

from dataclasses import dataclass

from smallsight.library.database import Database


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """``date_wall_s`` is wall-clock time as seconds since 1970; ``is_file_date`` if no metadata says it."""

    date_wall_s: float
    is_file_date: bool
    kind: str
    camera: str | None
    latitude: float | None
    longitude: float | None


def facts_of(database: Database, content_id: int) -> PictureFacts | None:
    """Read the facts of a content, None if it has no file."""
    with database.cursor() as cursor:
        row = cursor.execute(
            """SELECT facet.date_wall_s, content.taken_wall_s IS NULL, facet.kind, content.camera,
                      content.latitude, content.longitude
               FROM facet JOIN content ON content.id = facet.content_id WHERE facet.content_id = ?""",
            (content_id,),
        ).fetchone()
    return None if row is None else PictureFacts(row[0], bool(row[1]), row[2], row[3], row[4], row[5])

"""Lists the cameras with which the pictures of the library were taken."""

from __future__ import annotations

from typing import NamedTuple

from smallsight.library.database import Database

__all__ = ["CameraCount", "list_cameras"]


class CameraCount(NamedTuple):
    """A camera, and how many pictures were taken with it."""

    name: str
    num_pictures: int


def list_cameras(database: Database) -> list[CameraCount]:
    """Return the cameras of contents that have a file, the most used first."""
    with database.cursor() as cursor:
        rows = cursor.execute(
            """SELECT content.camera, count(*) AS num_pictures FROM facet JOIN content ON id = content_id
               WHERE facet.camera != '' GROUP BY content.camera ORDER BY num_pictures DESC, content.camera"""
        ).fetchall()
    return [CameraCount(*row) for row in rows]

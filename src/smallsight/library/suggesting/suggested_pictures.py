"""What is shown of the pictures for which tags are suggested: a file of each, and its size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.schema import content, folder, picture

_IDS_PER_STATEMENT = 500


@dataclass(frozen=True, slots=True)
class SuggestedPicture:
    """One content: its first file by path, the hash of its bytes, and its size, if it is known."""

    content_id: int
    path: Path
    sha256: str
    width_px: int | None
    height_px: int | None


def suggested_pictures(database: Database, content_ids: Sequence[int]) -> dict[int, SuggestedPicture]:
    """Return these contents by their ids; those without a file are left out."""
    found: dict[int, SuggestedPicture] = {}
    with database.reading() as connection:
        for start in range(0, len(content_ids), _IDS_PER_STATEMENT):
            rows = connection.execute(
                sa.select(
                    content.c.id,
                    content.c.sha256,
                    content.c.width_px,
                    content.c.height_px,
                    folder.c.path,
                    picture.c.path.label("below"),
                )
                .select_from(content.join(picture).join(folder, folder.c.id == picture.c.folder_id))
                .where(
                    content.c.id.in_(content_ids[start : start + _IDS_PER_STATEMENT]),
                    picture.c.vanished_at_s.is_(None),
                )
                .order_by(folder.c.path, picture.c.path)
            )
            for row in rows:
                size = row.width_px, row.height_px
                path = Path(row.path) / row.below
                found.setdefault(row.id, SuggestedPicture(row.id, path, row.sha256, *size))
    return found

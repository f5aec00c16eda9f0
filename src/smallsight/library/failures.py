"""Lists the pictures of which some work failed, by folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.ledger import OutcomeStatus
from smallsight.library.schema import folder, outcome, picture


@dataclass(frozen=True, slots=True)
class FailedPicture:
    """A picture and why some work on it failed."""

    path: Path
    content_id: int
    error: str


@dataclass(frozen=True, slots=True)
class Failures:
    """The number of failed pictures by the id of their folder, and the first of them."""

    counts: Mapping[int, int]
    first: tuple[FailedPicture, ...]


def list_failures(database: Database, limit: int) -> Failures:
    """Return what failed, of files that are there."""
    failed = (
        sa.select(picture.c.folder_id, folder.c.path, picture.c.path.label("below"), picture.c.content_id)
        .add_columns(sa.func.min(outcome.c.error).label("error"))
        .join(picture, picture.c.content_id == outcome.c.content_id)
        .join(folder, folder.c.id == picture.c.folder_id)
        .where(outcome.c.status == OutcomeStatus.FAILED, picture.c.vanished_at_s.is_(None))
        .group_by(picture.c.id)
    ).subquery()
    with database.reading() as connection:
        counts = connection.execute(
            sa.select(failed.c.folder_id, sa.func.count()).group_by(failed.c.folder_id)
        ).all()
        rows = connection.execute(
            sa.select(failed).order_by(failed.c.path, failed.c.below).limit(limit)
        ).all()
    return Failures(
        {row[0]: row[1] for row in counts},
        tuple(FailedPicture(Path(row.path) / row.below, row.content_id, row.error or "") for row in rows),
    )

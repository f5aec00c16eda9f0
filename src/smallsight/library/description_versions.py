"""The history of a content's descriptions: what a person, a model or a file has said, and restoring it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from smallsight.errors import NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.edits import EditReport, WordChange, edit_contents
from smallsight.library.schema import content, description_version
from smallsight.library.version_keeping import is_in_force


class VersionSource(StrEnum):
    """Who wrote a version of a description."""

    MACHINE = "machine"
    HUMAN = "human"
    FILE = "file"  # its metadata, or a sidecar


@dataclass(frozen=True, slots=True)
class DescriptionVersion:
    """One description of a content.

    ``made_at_s``, seconds since the epoch, is when it was first stored; None if that was before versions were
    kept. A machine's version may never have been in force, because a person's description was.
    """

    id: int
    content_id: int
    text: str
    source: VersionSource
    model: str | None
    precision: str | None
    prompt: str | None
    origin: str | None  # the metadata field or sidecar
    made_at_s: float | None
    is_current: bool


def versions_of(database: Database, content_id: int) -> list[DescriptionVersion]:
    """Return the versions of a content's description, newest first; at most one of them is current."""
    statement = (
        sa.select(description_version, is_in_force().label("in_force"))
        .join(content, content.c.id == description_version.c.content_id)
        .where(content.c.id == content_id)
        .order_by(description_version.c.id.desc())
    )
    versions: list[DescriptionVersion] = []
    with database.reading() as connection:
        for row in connection.execute(statement).mappings():
            values = {**row, "source": VersionSource(row["source"])}
            in_force = bool(values.pop("in_force")) and not any(one.is_current for one in versions)
            versions.append(DescriptionVersion(**values, is_current=in_force))
    return versions


def restore(database: Database, content_id: int, version_id: int) -> EditReport:
    """Make a version the description again, as a person's edit, which can be undone.

    It is the person's from then on, so that no machine replaces it. Raises NotInLibraryError.
    """
    with database.reading() as connection:
        text = connection.execute(
            sa.select(description_version.c.text).where(
                description_version.c.id == version_id, description_version.c.content_id == content_id
            )
        ).scalar()
    if text is None:
        raise NotInLibraryError(f"The picture has no version {version_id} of its description.")
    change = WordChange(description=text)
    return edit_contents(database, [content_id], change, summary="description restored")

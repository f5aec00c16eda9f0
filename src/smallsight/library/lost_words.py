"""What a person wrote about pictures whose files are gone: listed, and attached to another picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from smallsight.errors import NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.edits import change_contents
from smallsight.library.kinship import copy_words
from smallsight.library.schema import content, content_tag, folder, ignored, picture, succession, tag

_ID_CHARS = 12
_ID = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True, slots=True)
class LostWords:
    """A person's words about one content without files; ``id`` is the beginning of its hash.

    ``paths`` are where its files were; none if their folder was forgotten.
    """

    id: str
    paths: tuple[Path, ...]
    vanished_at_s: float | None
    description: str | None
    text: str | None
    tags: tuple[str, ...]


def list_lost_words(database: Database) -> list[LostWords]:
    """Return what a person wrote about pictures that are gone and that no other picture has inherited."""
    with database.reading() as connection:
        rows = connection.execute(sa.select(content).where(_is_lost()).order_by(content.c.id)).all()
        return [_words(connection, row) for row in rows]


def attach_words(database: Database, id_: str, content_id: int) -> None:
    """Give a picture the words with this id, or its beginning; those that it has of its own stay.

    Raises NotInLibraryError if there are none, or several.
    """
    with database.reading() as connection:
        found: Sequence[int] = ()
        if _ID.fullmatch(id_):
            matches = sa.select(content.c.id).where(_is_lost(), content.c.sha256.startswith(id_))
            found = connection.execute(matches.limit(2)).scalars().all()
        if len(found) != 1:
            reason = "Several pictures that are gone have" if found else "No picture that is gone has"
            raise NotInLibraryError(f"{reason} words under {id_!r}.", hint="`smallsight lost` lists them.")
        source_id = found[0]

    def write(connection: sa.Connection, _: Sequence[int]) -> None:
        copy_words(connection, source_id, content_id)
        connection.execute(
            succession.insert().prefix_with("OR REPLACE"),
            {"content_id": content_id, "before_id": source_id, "is_same": True},
        )

    change_contents(database, [content_id], f"words of {id_} attached", write)


def _is_lost() -> sa.ColumnElement[bool]:
    twin = content.alias()
    has_tag = sa.exists().where(content_tag.c.content_id == content.c.id, _is_written_tag())
    has_description = sa.and_(content.c.description_source == "human", content.c.description_origin.is_(None))
    return sa.and_(
        sa.or_(has_description, content.c.ocr_source == "human", has_tag),
        ~_has_file(content.c.id),
        ~sa.exists().where(ignored.c.sha256 == content.c.sha256),  # removed from the index on purpose
        ~sa.exists().where(succession.c.before_id == content.c.id, succession.c.is_same.is_(True)),
        ~sa.exists().where(
            twin.c.pixels_sha256 == content.c.pixels_sha256, twin.c.id != content.c.id, _has_file(twin.c.id)
        ),
    )


def _is_written_tag() -> sa.ColumnElement[bool]:
    """Return the condition that a person added the tag in Smallsight; words of files are not lost."""
    return sa.and_(content_tag.c.source == "human", content_tag.c.origin.is_(None))


def _has_file(content_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    return sa.exists().where(picture.c.content_id == content_id, picture.c.vanished_at_s.is_(None))


def _words(connection: sa.Connection, row: sa.Row[tuple[object, ...]]) -> LostWords:
    files = connection.execute(
        sa.select(folder.c.path, picture.c.path.label("below"), picture.c.vanished_at_s)
        .join(folder, folder.c.id == picture.c.folder_id)
        .where(picture.c.content_id == row.id)
        .order_by(picture.c.id)
    ).all()
    tags = connection.execute(
        sa.select(tag.c.name)
        .join(content_tag)
        .where(content_tag.c.content_id == row.id, _is_written_tag())
        .order_by(tag.c.name)
    ).scalars()
    is_written = row.description_source == "human" and row.description_origin is None
    return LostWords(
        id=row.sha256[:_ID_CHARS],
        paths=tuple(Path(one.path, one.below) for one in files),
        vanished_at_s=max((one.vanished_at_s for one in files), default=None),
        description=row.description if is_written else None,
        text=row.ocr_text if row.ocr_source == "human" else None,
        tags=tuple(tags),
    )

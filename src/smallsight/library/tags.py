"""The tags of the whole library: listed with counts, renamed, merged and removed by a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.errors import ArgumentError, NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.edits import Advance, EditReport, change_contents, folded_tag, in_few_words
from smallsight.library.schema import content_tag, picture, refused_tag, tag
from smallsight.library.tag_colours import keep_colour
from smallsight.library.texts import add_tags_to, remove_tags_from

_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class TagCount:
    """A tag, and the number of pictures that have it: in all, from a person, and from a machine."""

    name: str
    num_pictures: int
    num_by_person: int
    num_by_machine: int


def list_tags(database: Database) -> list[TagCount]:
    """Return the tags of pictures that have a file, those of most pictures first."""
    has_file = sa.exists().where(
        picture.c.content_id == content_tag.c.content_id, picture.c.vanished_at_s.is_(None)
    )
    number = sa.func.count()
    by_person = number.filter(content_tag.c.source == "human")
    statement = (
        sa.select(tag.c.name, number.label("number"), by_person.label("by_person"))
        .join(content_tag)
        .where(has_file)
        .group_by(tag.c.id)
        .order_by(number.desc(), tag.c.folded)
    )
    with database.reading() as connection:
        return [
            TagCount(row.name, row.number, row.by_person, row.number - row.by_person)
            for row in connection.execute(statement)
        ]


def find_tag(database: Database, name: str) -> str | None:
    """Return a tag as it is written, by any spelling; None if no picture has it. Raises ArgumentError."""
    with database.reading() as connection:
        return _written(connection, folded_tag(name))


def rename_tag(database: Database, old: str, new: str, advance: Advance | None = None) -> EditReport:
    """Give every picture with the tag ``old`` the tag ``new`` instead; a machine's tags become a person's.

    ``old`` becomes a removed tag of these pictures, so that no machine adds it again. Pictures from which a
    person removed ``old`` do not get ``new`` from a machine either. If there is a tag ``new``, both are
    merged. Raises NotInLibraryError if no picture has ``old``, and ArgumentError.
    """
    folded_old, folded_new = folded_tag(old), folded_tag(new)
    if folded_old == folded_new:
        return _respell(database, old, new)
    return _replace(
        database, [old], new, f"tag {in_few_words([old])} renamed to {in_few_words([new])}", advance
    )


def merge_tags(
    database: Database, names: Sequence[str], into: str, advance: Advance | None = None
) -> EditReport:
    """Replace several tags by one, which need not exist; raises as ``rename_tag`` does."""
    others = [name for name in names if folded_tag(name) != folded_tag(into)]
    if not others:
        raise ArgumentError(
            "A tag cannot be merged into itself.", hint="name the tags to replace, then the one to keep."
        )
    summary = f"tag {in_few_words(others)} merged into {in_few_words([into])}"
    return _replace(database, others, into, summary, advance)


def remove_tag(database: Database, name: str, advance: Advance | None = None) -> EditReport:
    """Remove a tag from all pictures, so that no machine adds it again; raises as ``rename_tag`` does."""
    with database.reading() as connection:
        ids = _contents_with(connection, [_required(connection, name)])

    def write(connection: sa.Connection, some: Sequence[int]) -> None:
        remove_tags_from(connection, some, [name])

    return change_contents(database, ids, f"tag {in_few_words([name])} removed", write, advance=advance)


def _replace(
    database: Database, names: Sequence[str], into: str, summary: str, advance: Advance | None
) -> EditReport:
    with database.reading() as connection:
        folded = [_required(connection, name) for name in names]
        having = _contents_with(connection, folded)
        refusing = sa.select(refused_tag.c.content_id).where(refused_tag.c.folded.in_(folded)).distinct()
        ids = sorted({*having, *connection.execute(refusing).scalars()})

    def write(connection: sa.Connection, some: Sequence[int]) -> None:
        _refuse_too(connection, some, folded, folded_tag(into))
        tagged = _contents_with(connection, folded, some)
        add_tags_to(connection, tagged, [into])
        keep_colour(connection, folded, folded_tag(into))
        remove_tags_from(connection, tagged, names)

    return change_contents(database, ids, summary, write, advance=advance)


def _respell(database: Database, old: str, new: str) -> EditReport:
    """Change capitals and accents of a tag; all its pictures change at once."""
    with database.reading() as connection:
        folded = _required(connection, old)
        ids = _contents_with(connection, [folded])

    def write(connection: sa.Connection, _: Sequence[int]) -> None:
        connection.execute(tag.update().where(tag.c.folded == folded).values(name=new.strip()))

    summary = f"tag {in_few_words([old])} written as {in_few_words([new])}"
    return change_contents(database, ids, summary, write, per_turn=_ALL)


def _refuse_too(
    connection: sa.Connection, content_ids: Sequence[int], folded: Sequence[str], new: str
) -> None:
    """Refuse the new tag for contents that refused one of these, unless they have it."""
    has_new = sa.exists().where(
        content_tag.c.content_id == refused_tag.c.content_id,
        content_tag.c.tag_id == tag.c.id,
        tag.c.folded == new,
    )
    refusing = (
        sa.select(refused_tag.c.content_id, sa.literal(new))
        .where(refused_tag.c.content_id.in_(content_ids), refused_tag.c.folded.in_(folded), ~has_new)
        .distinct()
    )
    connection.execute(
        insert(refused_tag).from_select(["content_id", "folded"], refusing).on_conflict_do_nothing()
    )


def _required(connection: sa.Connection, name: str) -> str:
    """Return the folded form of a tag that some content has; raises NotInLibraryError."""
    folded = folded_tag(name)
    if _written(connection, folded) is None:
        raise NotInLibraryError(f"No picture has the tag {name!r}.", hint="`smallsight tags` lists them.")
    return folded


def _written(connection: sa.Connection, folded: str) -> str | None:
    found: str | None = connection.execute(sa.select(tag.c.name).where(tag.c.folded == folded)).scalar()
    return found


def _contents_with(
    connection: sa.Connection, folded: Sequence[str], among: Sequence[int] | None = None
) -> list[int]:
    statement = sa.select(content_tag.c.content_id).join(tag).where(tag.c.folded.in_(folded)).distinct()
    if among is not None:
        statement = statement.where(content_tag.c.content_id.in_(among))
    return list(connection.execute(statement.order_by(content_tag.c.content_id)).scalars())

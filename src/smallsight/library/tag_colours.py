"""The colours of tags, as a person chose them. They are no edits: nothing is found by them or exported."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from smallsight.errors import ArgumentError, NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.edits import folded_tag
from smallsight.library.schema import tag

_COLOUR = re.compile(r"#[0-9a-f]{6}")


def tag_colours(database: Database) -> Mapping[str, str]:
    """Return the colours "#rrggbb" by the folded names of the tags that have one."""
    statement = sa.select(tag.c.folded, tag.c.colour).where(tag.c.colour.is_not(None)).order_by(tag.c.folded)
    with database.reading() as connection:
        return {row.folded: row.colour for row in connection.execute(statement)}


def colour_tag(database: Database, name: str, colour: str | None) -> None:
    """Give a tag a colour, or none; raises ArgumentError, and NotInLibraryError if no picture has it."""
    folded = folded_tag(name)
    if colour is not None:
        colour = colour.strip().lower()
        if not _COLOUR.fullmatch(colour):
            raise ArgumentError(f"Invalid colour {colour!r}.", hint="write it as #rrggbb, such as #0f6e6a.")
    with database.writing() as connection:
        found = connection.execute(tag.update().where(tag.c.folded == folded).values(colour=colour)).rowcount
    if not found:
        raise NotInLibraryError(f"No picture has the tag {name!r}.", hint="`smallsight tags` lists them.")


def keep_colour(connection: sa.Connection, old: Sequence[str], new: str) -> None:
    """Give the tag that replaces others the colour of the first that has one; the names are folded."""
    having = sa.select(tag.c.folded, tag.c.colour).where(tag.c.folded.in_(old), tag.c.colour.is_not(None))
    colours = {row.folded: row.colour for row in connection.execute(having)}
    colour = next((colours[name] for name in old if name in colours), None)
    if colour is not None:
        uncoloured = tag.update().where(tag.c.folded == new, tag.c.colour.is_(None))
        connection.execute(uncoloured.values(colour=colour))

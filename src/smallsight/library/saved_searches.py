"""Searches that people have named, to find them again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.errors import ArgumentError, NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.schema import saved_search
from smallsight.library.search.tokens import normalise
from smallsight.policy.valid_text import is_valid_text

_MAX_NAME_CHARS = 100
_MAX_SEARCHES = 500


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A named search; ``fields`` are those of the gallery's address."""

    id: int
    name: str
    fields: Mapping[str, str]


def save_search(database: Database, name: str, fields: Mapping[str, str]) -> SavedSearch:
    """Keep a search under a name, replacing one that is called the same; raises ArgumentError."""
    name = " ".join(name.split())[:_MAX_NAME_CHARS]
    folded = normalise(name).strip()
    if not folded or not is_valid_text(name):
        raise ArgumentError("A saved search needs a name.", hint="give it at least one letter.")
    values = {"name": name, "folded": folded, "fields": json.dumps(dict(fields)), "saved_at_s": time.time()}
    with database.writing() as connection:
        number = connection.execute(sa.select(sa.func.count()).select_from(saved_search)).scalar_one()
        if number >= _MAX_SEARCHES:
            raise ArgumentError(
                f"There are {number} saved searches already (limit {_MAX_SEARCHES}).", hint="remove some."
            )
        kept = insert(saved_search).values(**values)
        connection.execute(kept.on_conflict_do_update(index_elements=["folded"], set_=values))
        row_id = connection.execute(
            sa.select(saved_search.c.id).where(saved_search.c.folded == folded)
        ).scalar_one()
    return SavedSearch(row_id, name, dict(fields))


def remove_search(database: Database, search_id: int) -> None:
    """Forget a saved search; raises NotInLibraryError."""
    with database.writing() as connection:
        removed = connection.execute(saved_search.delete().where(saved_search.c.id == search_id))
        if not removed.rowcount:
            raise NotInLibraryError("There is no such saved search.")


def list_searches(database: Database) -> list[SavedSearch]:
    """Return the saved searches by name."""
    with database.cursor() as cursor:
        rows = cursor.execute("SELECT id, name, fields FROM saved_search ORDER BY folded").fetchall()
    return [SavedSearch(row[0], row[1], json.loads(row[2])) for row in rows]

"""The reading side of the search index: which contents hold given words. Knows FTS5; does not rank.

Results come newest first and are cut at a limit, because counting every content that holds "the" takes longer
than anybody waits.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np
import sqlalchemy as sa

from smallsight.library.search.index_terms import BOUNDARY, EVERY, folder_phrase, tag_mark
from smallsight.library.search.query import Query, Unit

COLUMNS = ("name", "folder", "tags", "description", "ocr")


def raw_cursor(connection: sa.Connection) -> sqlite3.Cursor:
    """Return a cursor of the driver below: a search runs many tiny statements, and this halves their cost."""
    driver: sqlite3.Connection = connection.connection.cursor().connection
    return driver.cursor()


def phrase(text: str) -> str:
    """Return the expression for these terms, side by side."""
    return f'"{text}"'


def beginning(unit: Unit) -> str:
    """Return the expression for this unit, where its last term may go on."""
    return phrase(unit.text) if unit.is_literal else phrase(unit.text) + " *"


def any_of(expressions: Iterable[str]) -> str:
    """Return the expression for one or more of these."""
    return f"({' OR '.join(expressions)})"


def in_filters(query: Query, wanted: Sequence[str] = ()) -> str:
    """Return the expression for all of wanted, within what the query's filters and minus words leave."""
    needed, banned = _filter_texts(query)
    kept = " AND ".join([*wanted, *map(phrase, needed)] or [phrase(EVERY)])
    return f"({kept}) NOT {any_of(map(phrase, banned))}" if banned else kept


def _filter_texts(query: Query) -> tuple[list[str], list[str]]:
    """Return what must, and what must not stand in the indexed texts."""
    needed = [tag_mark(name) for name in query.tags] + [folder_phrase(value) for value in query.folders]
    banned = [unit.text for unit in query.excluded]
    banned += [tag_mark(name) for name in query.excluded_tags]
    banned += [folder_phrase(value) for value in query.excluded_folders]
    return [text for text in needed if text], [text for text in banned if text]


def newest_ids(cursor: sqlite3.Cursor, expression: str, limit: int, offset: int = 0) -> list[int]:
    """Return the ids of contents that match, newest first."""
    rows = cursor.execute(
        "SELECT rowid FROM search_index WHERE search_index MATCH ? ORDER BY rowid DESC LIMIT ? OFFSET ?",
        (expression, limit, offset),
    )
    return [row[0] for row in rows]


def all_ids(cursor: sqlite3.Cursor, expression: str) -> np.ndarray:
    """Return int64 [N]: the ids of all contents that match, ascending."""
    rows = cursor.execute("SELECT rowid FROM search_index WHERE search_index MATCH ?", (expression,))
    return np.fromiter((row[0] for row in rows), dtype=np.int64)


def count(cursor: sqlite3.Cursor, expression: str, limit: int) -> int:
    """Return how many contents match, or limit when there are more."""
    statement = "SELECT count(*) FROM (SELECT 1 FROM search_index WHERE search_index MATCH ? LIMIT ?)"
    number: int = cursor.execute(statement, (expression, limit)).fetchone()[0]
    return number


def indexed_among(cursor: sqlite3.Cursor, content_ids: Sequence[int]) -> set[int]:
    """Return those of these contents that have a file and so may be shown."""
    if not content_ids:
        return set()
    rows = cursor.execute(
        "SELECT content_id FROM search_text WHERE content_id IN (SELECT value FROM json_each(?))",
        (json.dumps(content_ids),),
    )
    return {row[0] for row in rows}


def passing_among(cursor: sqlite3.Cursor, content_ids: Sequence[int], query: Query) -> set[int]:
    """Return those of these contents that have a file and pass the filters and minus words of the query."""
    if not query.is_filtered:
        return indexed_among(cursor, content_ids)
    needed, banned = _filter_texts(query)
    rows = cursor.execute(
        f"""SELECT content_id, filters, {", ".join(COLUMNS)} FROM search_text
            WHERE content_id IN (SELECT value FROM json_each(?))""",  # noqa: S608 - constants
        (json.dumps(content_ids),),
    )
    passing = set()
    for content_id, *columns in rows:
        whole = f" {BOUNDARY} ".join(["", *columns, ""])
        if all(f" {text} " in whole for text in needed) and not any(f" {text} " in whole for text in banned):
            passing.add(content_id)
    return passing


def newest_id(cursor: sqlite3.Cursor) -> int:
    """Return the highest id in the index, which is near the number of contents, or 0."""
    number: int = cursor.execute("SELECT coalesce(max(content_id), 0) FROM search_text").fetchone()[0]
    return number


def indexed_texts(cursor: sqlite3.Cursor, content_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the normalised texts of these contents, in the order of ``COLUMNS``."""
    rows = cursor.execute(
        f"""SELECT content_id, {", ".join(COLUMNS)} FROM search_text
            WHERE content_id IN (SELECT value FROM json_each(?))""",  # noqa: S608 - constants
        (json.dumps(content_ids),),
    )
    return {row[0]: row[1:] for row in rows}

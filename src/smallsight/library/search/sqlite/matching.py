"""Queries the FTS5 search index: which contents hold given words. Does not rank.

Results come newest first and are cut at a limit, because counting every content that holds "the" takes too
long.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from smallsight.library.search.index_terms import BOUNDARY, EVERY, folder_phrase, tag_mark
from smallsight.library.search.query import Query
from smallsight.library.search.text_index import Condition, WordForm

if TYPE_CHECKING:
    import numpy as np

COLUMNS = ("name", "folder", "tags", "description", "ocr")


def expression_of(condition: Condition) -> str:
    """Return a condition in the query language of FTS5."""
    needed, banned = _filter_texts(condition.query)
    wanted = [_any_of([_form(form) for form in group]) for group in condition.groups]
    if condition.in_names:
        wanted = [f"({{name tags}} : ({' AND '.join(wanted)}))"]
    kept = " AND ".join([*wanted, *map(_phrase, needed)] or [_phrase(EVERY)])
    return f"({kept}) NOT {_any_of([_phrase(text) for text in banned])}" if banned else kept


def _phrase(text: str) -> str:
    return f'"{text}"'


def _form(form: WordForm) -> str:
    return f"{_phrase(form.text)} *" if form.goes_on else _phrase(form.text)


def _any_of(expressions: Sequence[str]) -> str:
    return expressions[0] if len(expressions) == 1 else f"({' OR '.join(expressions)})"


def _filter_texts(query: Query) -> tuple[list[str], list[str]]:
    """Return the texts that must, and those that must not, occur in the indexed texts."""
    needed = [tag_mark(name) for name in query.tags] + [folder_phrase(value) for value in query.folders]
    banned = [unit.text for unit in query.excluded]
    banned += [tag_mark(name) for name in query.excluded_tags]
    banned += [folder_phrase(value) for value in query.excluded_folders]
    return [text for text in needed if text], [text for text in banned if text]


def newest_ids(cursor: sqlite3.Cursor, condition: Condition, limit: int, offset: int = 0) -> list[int]:
    """Return the ids of contents that match, newest first."""
    rows = cursor.execute(
        "SELECT rowid FROM search_index WHERE search_index MATCH ? ORDER BY rowid DESC LIMIT ? OFFSET ?",
        (expression_of(condition), limit, offset),
    )
    return [row[0] for row in rows]


def all_ids(cursor: sqlite3.Cursor, condition: Condition) -> np.ndarray:
    """Return int64 [N]: the ids of all contents that match, ascending."""
    rows = cursor.execute(
        "SELECT rowid FROM search_index WHERE search_index MATCH ?", (expression_of(condition),)
    )
    import numpy as np  # noqa: PLC0415 - a search by words does not need it

    return np.fromiter((row[0] for row in rows), dtype=np.int64)


def count(cursor: sqlite3.Cursor, condition: Condition, limit: int) -> int:
    """Return how many contents match, or limit if there are more."""
    statement = "SELECT count(*) FROM (SELECT 1 FROM search_index WHERE search_index MATCH ? LIMIT ?)"
    number: int = cursor.execute(statement, (expression_of(condition), limit)).fetchone()[0]
    return number


def indexed_among(cursor: sqlite3.Cursor, content_ids: Sequence[int]) -> set[int]:
    """Return the contents among these that have a file and may be shown."""
    if not content_ids:
        return set()
    rows = cursor.execute(
        "SELECT content_id FROM search_text WHERE content_id IN (SELECT value FROM json_each(?))",
        (json.dumps(content_ids),),
    )
    return {row[0] for row in rows}


def passing_among(cursor: sqlite3.Cursor, content_ids: Sequence[int], query: Query) -> set[int]:
    """Return the contents among these that have a file and pass the filters and minus words of the query."""
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


def has_descriptions(cursor: sqlite3.Cursor) -> bool:
    """Return whether any content in the index has a description."""
    return cursor.execute("SELECT 1 FROM search_text WHERE description != '' LIMIT 1").fetchone() is not None


def indexed_texts(cursor: sqlite3.Cursor, content_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the normalised texts of these contents, in the order of ``COLUMNS``."""
    rows = cursor.execute(
        f"""SELECT content_id, {", ".join(COLUMNS)} FROM search_text
            WHERE content_id IN (SELECT value FROM json_each(?))""",  # noqa: S608 - constants
        (json.dumps(content_ids),),
    )
    return {row[0]: row[1:] for row in rows}

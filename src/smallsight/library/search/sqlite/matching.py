"""Queries the FTS5 search index: which contents hold given words. Does not rank.

Results come newest first and are cut at a limit, because counting every content that holds "the" takes too
long.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from smallsight.library.search.index_terms import BOUNDARY, EVERY, folder_phrase, tag_mark
from smallsight.library.search.query import Query
from smallsight.library.search.sqlite.facet_filters import Parameter, facet_condition
from smallsight.library.search.sqlite.long_prefixes import loosened, newest_by_texts
from smallsight.library.search.text_index import Condition, Sort, WordForm

if TYPE_CHECKING:
    import numpy as np

COLUMNS = ("name", "folder", "tags", "description", "ocr")
_EVERYTHING = Condition()
_MAX_PROBED_PAGE, _PROBED_PER_LISTED = 250, 8
_ORDERS = {
    Sort.NEWEST: "date_wall_s DESC, content_id DESC",
    Sort.OLDEST: "date_wall_s, content_id",
    Sort.NAME: "name_key, content_id",
    Sort.SIZE: "size_bytes DESC, content_id DESC",
    Sort.ADDED: "added_at_s DESC, content_id DESC",
}


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
    """Return the ids of contents that match, the last indexed first."""

    def newest(condition: Condition, limit: int, below: int | None) -> list[int]:
        return _newest_ids(cursor, condition, limit, below=below)

    for loose, pages in [] if offset else loosened(condition):
        found = newest_by_texts(condition, loose, pages, limit, newest, partial(indexed_texts, cursor))
        if found is not None:
            return found
    return _newest_ids(cursor, condition, limit, offset)


def _newest_ids(
    cursor: sqlite3.Cursor, condition: Condition, limit: int, offset: int = 0, *, below: int | None = None
) -> list[int]:
    matching, parameters = _matching(condition, below)
    # Each row that is fetched lets other threads have the interpreter, so a thousand ids are one row.
    statement = f"SELECT json_group_array(rowid) FROM ({matching} ORDER BY rowid DESC LIMIT ? OFFSET ?)"  # noqa: S608
    found: str = cursor.execute(statement, (*parameters, limit, offset)).fetchone()[0]
    return sorted(json.loads(found), reverse=True)


def listed_ids(
    cursor: sqlite3.Cursor, condition: Condition, sort: Sort, limit: int, offset: int = 0
) -> list[int]:
    """Return the ids of contents that match, sorted by something other than relevance."""
    if offset + limit <= _MAX_PROBED_PAGE:
        found = _listed_of_first(cursor, condition, sort, offset + limit)
        if found is not None:
            return found[offset:]
    kept, parameters = facets_where(condition)
    rows = cursor.execute(
        f"SELECT content_id FROM facet WHERE {kept} ORDER BY {_ORDERS[sort]} LIMIT ? OFFSET ?",  # noqa: S608
        (*parameters, limit, offset),
    )
    return [row[0] for row in rows]


def _listed_of_first(
    cursor: sqlite3.Cursor, condition: Condition, sort: Sort, limit: int
) -> list[int] | None:
    """Return what of the first contents of all passes the tags, folders and minus words; None if too few do.

    For a large folder that takes a tenth of the time of finding all that pass.
    """
    if condition.groups or not any(_filter_texts(condition.query)):
        return None
    num_asked = _PROBED_PER_LISTED * limit + _PROBED_PER_LISTED
    first = listed_ids(cursor, Condition(query=Query(facets=condition.query.facets)), sort, num_asked)
    passing = passing_among(cursor, first, replace(condition.query, facets=_EVERYTHING.query.facets))
    found = [one for one in first if one in passing]
    return found[:limit] if len(found) >= limit or len(first) < num_asked else None


def sorted_among(cursor: sqlite3.Cursor, content_ids: Sequence[int], sort: Sort) -> list[int]:
    """Return these contents, without those that have no file, sorted by something other than relevance."""
    rows = cursor.execute(
        f"""SELECT content_id FROM facet WHERE content_id IN (SELECT value FROM json_each(?))
            ORDER BY {_ORDERS[sort]}""",  # noqa: S608 - constants
        (json.dumps(content_ids),),
    )
    return [row[0] for row in rows]


def facets_where(condition: Condition) -> tuple[str, list[Parameter]]:
    """Return a condition on rows of ``facet`` that selects the contents that match, and its parameters."""
    kept, parameters = facet_condition(condition.query.facets)
    if not condition.groups and not any(_filter_texts(condition.query)):
        return kept, parameters
    held = "content_id IN (SELECT rowid FROM search_index WHERE search_index MATCH ?)"
    return f"{kept} AND {held}", [*parameters, expression_of(condition)]


def all_ids(cursor: sqlite3.Cursor, condition: Condition) -> np.ndarray:
    """Return int64 [N]: the ids of all contents that match, ascending."""
    matching, parameters = _matching(condition)
    found: str = cursor.execute(f"SELECT json_group_array(rowid) FROM ({matching})", parameters).fetchone()[0]  # noqa: S608
    import numpy as np  # noqa: PLC0415 - a search by words does not need it

    return np.sort(np.array(json.loads(found), dtype=np.int64))


def count(cursor: sqlite3.Cursor, condition: Condition, limit: int) -> int:
    """Return how many contents match, or limit if there are more."""
    if condition == _EVERYTHING:
        total: int = cursor.execute("SELECT coalesce(sum(num_contents), 0) FROM month_count").fetchone()[0]
        return min(total, limit)
    matching, parameters = _matching(condition)
    statement = f"SELECT count(*) FROM ({matching} LIMIT ?)"  # noqa: S608 - values are parameters
    number: int = cursor.execute(statement, (*parameters, limit)).fetchone()[0]
    return number


def _matching(condition: Condition, below: int | None = None) -> tuple[str, list[Parameter]]:
    """Return a statement that selects the rowids of contents that match, and its parameters.

    With ``below`` only smaller rowids are selected, for a condition with groups.
    """
    facets = condition.query.facets
    kept, values = facet_condition(facets)
    if not condition.groups and not any(_filter_texts(condition.query)):
        return f"SELECT content_id AS rowid FROM facet WHERE {kept}", values  # noqa: S608 - constants
    statement = "SELECT rowid FROM search_index WHERE search_index MATCH ?"
    parameters: list[Parameter] = [expression_of(condition)]
    if below is not None:
        statement += " AND rowid < ?"
        parameters.append(below)
    if facets:  # without the plus, SQLite would search the index once for each row of the facets
        statement += f" AND +rowid IN (SELECT content_id FROM facet WHERE {kept})"  # noqa: S608 - constants
        parameters += values
    return statement, parameters


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
    if query.facets:
        content_ids = _facets_among(cursor, content_ids, query)
    needed, banned = _filter_texts(query)
    if not needed and not banned:
        return indexed_among(cursor, content_ids)
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


def _facets_among(cursor: sqlite3.Cursor, content_ids: Sequence[int], query: Query) -> list[int]:
    kept, parameters = facet_condition(query.facets)
    rows = cursor.execute(
        f"""SELECT content_id FROM facet
            WHERE content_id IN (SELECT value FROM json_each(?)) AND {kept}""",  # noqa: S608 - constants
        (json.dumps(content_ids), *parameters),
    )
    return [row[0] for row in rows]


def newest_id(cursor: sqlite3.Cursor) -> int:
    """Return the highest id in the index, which is near the number of contents, or 0."""
    number: int = cursor.execute("SELECT coalesce(max(content_id), 0) FROM search_text").fetchone()[0]
    return number


def has_descriptions(cursor: sqlite3.Cursor) -> bool:
    """Return whether any content in the index has a description."""
    return cursor.execute("SELECT 1 FROM search_text WHERE description != '' LIMIT 1").fetchone() is not None


def indexed_texts(cursor: sqlite3.Cursor, content_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the normalised texts of these contents, in the order of ``COLUMNS``."""
    found: str = cursor.execute(
        f"""SELECT json_group_array(json_array(content_id, {", ".join(COLUMNS)})) FROM search_text
            WHERE content_id IN (SELECT value FROM json_each(?))""",  # noqa: S608 - constants
        (json.dumps(content_ids),),
    ).fetchone()[0]
    return {content_id: tuple(texts) for content_id, *texts in json.loads(found)}


def look_key(cursor: sqlite3.Cursor, content_id: int | None) -> str | None:
    """Return the key of the newest vector of a picture, or of any; None if there is none."""
    where = "" if content_id is None else "WHERE content_id = ?"
    row = cursor.execute(
        f"SELECT embedder_key FROM picture_vector {where} ORDER BY id DESC LIMIT 1",  # noqa: S608 - the name of a table
        () if content_id is None else (content_id,),
    ).fetchone()
    return None if row is None else str(row[0])


def count_looks(cursor: sqlite3.Cursor, key: str, condition: Condition) -> int:
    """Return how many vectors of the model with this key there are, of contents that match."""
    statement = "SELECT count(*) FROM picture_vector WHERE embedder_key = ?"
    parameters: list[Parameter] = [key]
    if condition != _EVERYTHING:
        matching, values = _matching(condition)
        statement += f" AND content_id IN ({matching})"
        parameters += values
    number: int = cursor.execute(statement, parameters).fetchone()[0]
    return number

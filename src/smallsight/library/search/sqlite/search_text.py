"""Writes the search index: one row of normalised text for each content that has a file.

Owns how rows are made. They are derived from content, picture and content_tag and can be rebuilt at any time.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from smallsight.library.search.index_terms import BOUNDARY, filter_column
from smallsight.library.search.tokens import search_form

_CONTENTS_PER_BATCH = 1_000
_MAX_TERM_CHARS = 40  # longer ones are found only as written and as prefixes
_SEPARATOR = f" {BOUNDARY} "

_Row = tuple[str, str, str, str, str, str]  # name, folder, tags, description, ocr, filters


@dataclass(slots=True)
class _FileLocations:
    """The names and folders of the files of one content; dicts keep order and drop repeats."""

    names: dict[str, None] = field(default_factory=dict)
    folders: dict[tuple[str, str], None] = field(default_factory=dict)  # root, and the path below it


def refresh_search_text(connection: sa.Connection, content_ids: Sequence[int]) -> None:
    """Update the index rows of these contents from the library.

    A content that does not exist or has no present file is removed from the index. Runs inside the caller's
    transaction on the writing connection.
    """
    ids = sorted(set(content_ids))
    for start in range(0, len(ids), _CONTENTS_PER_BATCH):
        _refresh_batch(connection, ids[start : start + _CONTENTS_PER_BATCH])


def _refresh_batch(connection: sa.Connection, ids: list[int]) -> None:
    selection = (json.dumps(ids),)
    wanted = _wanted_rows(connection, selection)
    stored: dict[int, _Row] = {
        row[0]: (row[1], row[2], row[3], row[4], row[5], row[6])
        for row in connection.exec_driver_sql(
            """SELECT content_id, name, folder, tags, description, ocr, filters FROM search_text
               WHERE content_id IN (SELECT value FROM json_each(?))""",
            selection,
        )
    }
    outdated = [(content_id,) for content_id, row in stored.items() if wanted.get(content_id) != row]
    if outdated:
        connection.exec_driver_sql("DELETE FROM search_text WHERE content_id = ?", outdated)
    added = [(content_id, *row) for content_id, row in wanted.items() if stored.get(content_id) != row]
    if added:
        connection.exec_driver_sql("INSERT INTO search_text VALUES (?, ?, ?, ?, ?, ?, ?)", added)
        _add_terms(connection, (row for _, *row in added))


def _wanted_rows(connection: sa.Connection, selection: tuple[str]) -> dict[int, _Row]:
    locations: dict[int, _FileLocations] = defaultdict(_FileLocations)
    for content_id, root, path in connection.exec_driver_sql(
        """SELECT picture.content_id, folder.path, picture.path
           FROM picture JOIN folder ON folder.id = picture.folder_id
           WHERE picture.content_id IN (SELECT value FROM json_each(?)) AND picture.vanished_at_s IS NULL
           ORDER BY picture.id""",
        selection,
    ):
        below, _, name = path.rpartition("/")
        locations[content_id].names[name] = None
        locations[content_id].folders[root, below] = None
    tags: dict[int, list[str]] = defaultdict(list)
    for content_id, tag_name in connection.exec_driver_sql(
        """SELECT content_tag.content_id, tag.name FROM content_tag JOIN tag ON tag.id = content_tag.tag_id
           WHERE content_tag.content_id IN (SELECT value FROM json_each(?)) ORDER BY tag.folded""",
        selection,
    ):
        tags[content_id].append(tag_name)
    texts = connection.exec_driver_sql(
        """SELECT id, description, ocr_text FROM content
           WHERE id IN (SELECT value FROM json_each(?))""",
        selection,
    )
    return {
        content_id: _row(locations[content_id], tags[content_id], description or "", ocr_text or "")
        for content_id, description, ocr_text in texts
        if content_id in locations
    }


def _row(location: _FileLocations, tags: Sequence[str], description: str, ocr_text: str) -> _Row:
    last_parts = (
        f"{root.replace(chr(92), '/').rpartition('/')[2]} {below}" for root, below in location.folders
    )
    return (
        _joined(location.names),
        _joined(last_parts),
        _joined(tags),
        search_form(description),
        search_form(ocr_text),
        filter_column(tags, (f"{root}/{below}" for root, below in location.folders)),
    )


def _joined(texts: Iterable[str]) -> str:
    return _SEPARATOR.join(dict.fromkeys(search_form(text) for text in texts))


def _add_terms(connection: sa.Connection, rows: Iterable[Sequence[str]]) -> None:
    terms: set[str] = set()
    for name, folder, tags, description, ocr, _ in rows:
        terms.update(name.split(), folder.split(), tags.split(), description.split(), ocr.split())
    parameters = [(term,) for term in sorted(terms) if 2 <= len(term) <= _MAX_TERM_CHARS]
    if parameters:
        connection.exec_driver_sql("INSERT OR IGNORE INTO term (term) VALUES (?)", parameters)

"""Reads what hits show of contents: their texts, tags and present files."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from smallsight.library.search.text_index import ShownContent, ShownFile


def read_shown(cursor: sqlite3.Cursor, content_ids: Sequence[int]) -> dict[int, ShownContent]:
    """Return what is shown of these contents, for those that have a file."""
    if not content_ids:
        return {}
    selection = (json.dumps(content_ids),)
    files = _present_files(cursor, selection)
    tags = _tags(cursor, selection)
    rows = cursor.execute(
        """SELECT id, sha256, width_px, height_px, ocr_text, description, date_wall_s, taken_offset_min,
               taken_origin, content.camera, kind, num_frames, format, content.size_bytes, colours,
               duration_s
           FROM content JOIN facet ON content_id = id WHERE id IN (SELECT value FROM json_each(?))""",
        selection,
    )
    shown = {}
    for content_id, sha256, width_px, height_px, ocr_text, description, *facets in rows:
        if content_id in files:
            shown[content_id] = ShownContent(
                sha256,
                width_px,
                height_px,
                ocr_text,
                description,
                tuple(files[content_id]),
                tuple(tags[content_id]),
                *facets,
            )
    return shown


def chunk_texts(cursor: sqlite3.Cursor, chunk_ids: Sequence[int]) -> dict[int, str]:
    """Return the texts of these chunks, for those that still exist."""
    if not chunk_ids:
        return {}
    rows = cursor.execute(
        "SELECT id, text FROM chunk WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(chunk_ids)),),
    )
    return dict(rows.fetchall())


def _tags(cursor: sqlite3.Cursor, selection: tuple[str]) -> dict[int, list[str]]:
    tags: dict[int, list[str]] = defaultdict(list)
    for content_id, name in cursor.execute(
        """SELECT content_tag.content_id, tag.name FROM content_tag JOIN tag ON tag.id = content_tag.tag_id
           WHERE content_tag.content_id IN (SELECT value FROM json_each(?)) ORDER BY tag.folded""",
        selection,
    ):
        tags[content_id].append(name)
    return tags


def _present_files(cursor: sqlite3.Cursor, selection: tuple[str]) -> dict[int, list[ShownFile]]:
    files: dict[int, list[ShownFile]] = defaultdict(list)
    for content_id, picture_id, root, path in cursor.execute(
        """SELECT picture.content_id, picture.id, folder.path, picture.path
           FROM picture JOIN folder ON folder.id = picture.folder_id
           WHERE picture.content_id IN (SELECT value FROM json_each(?)) AND picture.vanished_at_s IS NULL
           ORDER BY picture.id""",
        selection,
    ):
        folders = f"{root}/{path.rpartition('/')[0]}"
        files[content_id].append(ShownFile(picture_id, Path(root) / path, folders))
    return files

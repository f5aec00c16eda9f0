"""What a search shows of one picture, and how that is read from the library."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smallsight.library.search.excerpt import Highlighter
from smallsight.library.search.index_terms import BOUNDARY, folder_marks, folder_phrase
from smallsight.library.search.sqlite.vectors import chunk_texts


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture that was found.

    ``path`` is absolute; ``other_paths`` are files with the same bytes. ``found_by`` names one or more of
    keyword, semantic, typo, substring, similar_picture and similar_text. ``highlights`` are spans in
    ``excerpt``, a piece of at most 160 characters of the texts. ``score`` only compares within one search;
    ``similarity`` is a cosine, or None. ``thumbnail_key`` is the SHA-256 of the file.
    """

    content_id: int
    picture_id: int
    path: Path
    other_paths: tuple[Path, ...]
    score: float
    found_by: tuple[str, ...]
    similarity: float | None
    excerpt: str
    highlights: tuple[tuple[int, int], ...]
    width_px: int | None
    height_px: int | None
    ocr_text: str | None
    description: str | None
    tags: tuple[str, ...]
    thumbnail_key: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search knows of a content before anything is read for showing it."""

    content_id: int
    score: float
    found_by: tuple[str, ...] = ()
    similarity: float | None = None
    chunk_id: int | None = None  # the piece of text that a semantic search matched


@dataclass(frozen=True, slots=True)
class _File:
    picture_id: int
    path: Path
    way: str  # the folders it lies in


def read_hits(
    cursor: sqlite3.Cursor,
    findings: Sequence[Finding],
    highlighter: Highlighter,
    folders: Sequence[str] = (),
) -> list[Hit]:
    """Read what is shown of these findings, in their order; those without a file are left out.

    Of several files with the same bytes, the first one in one of the asked-for folders is shown.
    """
    if not findings:
        return []
    selection = (json.dumps([finding.content_id for finding in findings]),)
    contents = {
        row[0]: row[1:]
        for row in cursor.execute(
            """SELECT id, sha256, width_px, height_px, ocr_text, description FROM content
               WHERE id IN (SELECT value FROM json_each(?))""",
            selection,
        )
    }
    files = _present_files(cursor, selection)
    tags = _tags(cursor, selection)
    wanted_folders = [phrase for value in folders if (phrase := folder_phrase(value))]
    hits = []
    for finding in findings:
        if finding.content_id not in contents or finding.content_id not in files:
            continue
        sha256, width_px, height_px, ocr_text, description = contents[finding.content_id]
        shown, *others = _asked_for_first(files[finding.content_id], wanted_folders)
        names = tuple(tags[finding.content_id])
        excerpt = highlighter.best_excerpt((ocr_text, description, " ".join(names), shown.path.name))
        if excerpt.num_matched == 0 and finding.chunk_id is not None:
            excerpt = highlighter.best_excerpt(chunk_texts(cursor, [finding.chunk_id]).values())
        hits.append(
            Hit(
                content_id=finding.content_id,
                picture_id=shown.picture_id,
                path=shown.path,
                other_paths=tuple(other.path for other in others),
                score=finding.score,
                found_by=finding.found_by,
                similarity=finding.similarity,
                excerpt=excerpt.text,
                highlights=excerpt.highlights,
                width_px=width_px,
                height_px=height_px,
                ocr_text=ocr_text,
                description=description,
                tags=names,
                thumbnail_key=sha256,
            )
        )
    return hits


def _tags(cursor: sqlite3.Cursor, selection: tuple[str]) -> dict[int, list[str]]:
    tags: dict[int, list[str]] = defaultdict(list)
    for content_id, name in cursor.execute(
        """SELECT content_tag.content_id, tag.name FROM content_tag JOIN tag ON tag.id = content_tag.tag_id
           WHERE content_tag.content_id IN (SELECT value FROM json_each(?)) ORDER BY tag.folded""",
        selection,
    ):
        tags[content_id].append(name)
    return tags


def _present_files(cursor: sqlite3.Cursor, selection: tuple[str]) -> dict[int, list[_File]]:
    files: dict[int, list[_File]] = defaultdict(list)
    for content_id, picture_id, root, path in cursor.execute(
        """SELECT picture.content_id, picture.id, folder.path, picture.path
           FROM picture JOIN folder ON folder.id = picture.folder_id
           WHERE picture.content_id IN (SELECT value FROM json_each(?)) AND picture.vanished_at_s IS NULL
           ORDER BY picture.id""",
        selection,
    ):
        way = f"{root}/{path.rpartition('/')[0]}"
        files[content_id].append(_File(picture_id, Path(root) / path, way))
    return files


def _asked_for_first(files: list[_File], wanted_folders: list[str]) -> list[_File]:
    if not wanted_folders or len(files) == 1:
        return files

    def is_elsewhere(file: _File) -> bool:
        marks = f" {BOUNDARY} {' '.join(folder_marks(file.way))} "
        return not any(f" {phrase} " in marks for phrase in wanted_folders)

    return sorted(files, key=is_elsewhere)

"""The hits of a search: what is shown of each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smallsight.library.search.excerpt import Highlighter
from smallsight.library.search.index_terms import BOUNDARY, folder_marks, folder_phrase
from smallsight.library.search.text_index import IndexView, ShownFile


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture that was found.

    ``path`` is absolute; ``other_paths`` are files with the same bytes. ``found_by`` names one or more of
    keyword, semantic, typo, substring, similar_picture and similar_text. ``highlights`` are spans in
    ``excerpt``, at most 160 characters of the texts. ``score`` is comparable only within one search;
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
    """What a search has found out about a content, before its texts and files are read."""

    content_id: int
    score: float
    found_by: tuple[str, ...] = ()
    similarity: float | None = None
    chunk_id: int | None = None  # the chunk that a semantic search matched


def hits_of(
    view: IndexView, findings: Sequence[Finding], highlighter: Highlighter, folders: Sequence[str] = ()
) -> list[Hit]:
    """Return the hits for these findings, in their order; contents without a file are left out.

    Of several files with the same bytes, the first one in a requested folder is shown.
    """
    contents = view.shown([finding.content_id for finding in findings])
    wanted_folders = [phrase for value in folders if (phrase := folder_phrase(value))]
    hits = []
    for finding in findings:
        if (content := contents.get(finding.content_id)) is None:
            continue
        shown, *others = _requested_first(content.files, wanted_folders)
        excerpt = highlighter.best_excerpt(
            (content.ocr_text, content.description, " ".join(content.tags), shown.path.name)
        )
        if excerpt.num_matched == 0 and finding.chunk_id is not None:
            chunk_text = view.chunk_text(finding.chunk_id)
            excerpt = highlighter.best_excerpt(() if chunk_text is None else (chunk_text,))
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
                width_px=content.width_px,
                height_px=content.height_px,
                ocr_text=content.ocr_text,
                description=content.description,
                tags=content.tags,
                thumbnail_key=content.sha256,
            )
        )
    return hits


def _requested_first(files: Sequence[ShownFile], wanted_folders: list[str]) -> Sequence[ShownFile]:
    if not wanted_folders or len(files) == 1:
        return files

    def is_elsewhere(file: ShownFile) -> bool:
        marks = f" {BOUNDARY} {' '.join(folder_marks(file.folders))} "
        return not any(f" {phrase} " in marks for phrase in wanted_folders)

    return sorted(files, key=is_elsewhere)

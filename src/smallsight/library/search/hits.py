"""The hits of a search: what is shown of each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smallsight.library.search.excerpt import Excerpt, Highlighter
from smallsight.library.search.index_terms import BOUNDARY, folder_marks, folder_phrase
from smallsight.library.search.text_index import IndexView, ShownContent, ShownFile


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture that was found.

    ``path`` is absolute; ``other_paths`` are files with the same bytes. ``found_by`` names one or more of
    keyword, semantic, typo, substring, looks_like, similar_picture and similar_text. ``highlights`` are spans
    in ``excerpt``, at most 160 characters of the texts. ``score`` is comparable only within one search;
    ``similarity`` is a cosine, or None. ``thumbnail_key`` is the SHA-256 of the file. ``date_wall_s`` is when
    it was taken, as wall-clock time in seconds as if it were UTC; ``date_origin`` is None where that is the
    local time of the file. ``kind`` is one of ``kinds.Kind``. ``matched_in`` names the fields that hold words
    of the query: text, description, tag, name or folder. ``colours`` are RGB of 4 x 4 parts, rows first.
    ``duration_s`` is the length of a video. ``found_at_s`` is when an animation or a video shows the frame
    that looks most like what was searched for.
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
    matched_in: tuple[str, ...]
    thumbnail_key: str
    date_wall_s: float
    date_offset_min: int | None
    date_origin: str | None
    camera: str | None
    kind: str
    num_frames: int | None
    format: str | None
    size_bytes: int
    colours: bytes | None = None
    duration_s: float | None = None
    found_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search has found out about a content, before its texts and files are read."""

    content_id: int
    score: float
    found_by: tuple[str, ...] = ()
    similarity: float | None = None
    chunk_id: int | None = None  # the chunk that a semantic search matched
    look_id: int | None = None  # the vector of a picture or frame that looks like what was searched for


def hits_of(
    view: IndexView, findings: Sequence[Finding], highlighter: Highlighter, folders: Sequence[str] = ()
) -> list[Hit]:
    """Return the hits for these findings, in their order; contents without a file are left out.

    Of several files with the same bytes, the first one in a requested folder is shown.
    """
    contents = view.shown([finding.content_id for finding in findings])
    wanted_folders = [phrase for value in folders if (phrase := folder_phrase(value))]
    looks = [one.look_id for one in findings if one.look_id is not None]
    times_s = view.look_times(looks) if looks else {}
    hits = []
    for finding in findings:
        if (content := contents.get(finding.content_id)) is None:
            continue
        shown, *others = _requested_first(content.files, wanted_folders)
        excerpt = _excerpt(view, finding, highlighter, content, shown)
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
                matched_in=_matched_in(highlighter, content, shown),
                thumbnail_key=content.sha256,
                date_wall_s=content.date_wall_s,
                date_offset_min=content.date_offset_min,
                date_origin=content.date_origin,
                camera=content.camera,
                kind=content.kind,
                num_frames=content.num_frames,
                format=content.format,
                size_bytes=content.size_bytes,
                colours=content.colours,
                duration_s=content.duration_s,
                found_at_s=None if finding.look_id is None else times_s.get(finding.look_id),
            )
        )
    return hits


def _excerpt(
    view: IndexView, finding: Finding, highlighter: Highlighter, content: ShownContent, file: ShownFile
) -> Excerpt:
    """Return what is shown of texts that hold words of the query, else of the chunk of similar meaning."""
    excerpt = highlighter.best_excerpt(
        (content.ocr_text, content.description, " ".join(content.tags), file.path.name)
    )
    if excerpt.num_matched == 0 and finding.chunk_id is not None:
        chunk_text = view.chunk_text(finding.chunk_id)
        excerpt = highlighter.best_excerpt(() if chunk_text is None else (chunk_text,))
    return excerpt


def _matched_in(highlighter: Highlighter, content: ShownContent, file: ShownFile) -> tuple[str, ...]:
    fields = {
        "text": content.ocr_text,
        "description": content.description,
        "tag": " ".join(content.tags),
        "name": file.path.name,
        "folder": file.path.parent.name,
    }
    return tuple(name for name, text in fields.items() if text and highlighter.spans(text))


def _requested_first(files: Sequence[ShownFile], wanted_folders: list[str]) -> Sequence[ShownFile]:
    if not wanted_folders or len(files) == 1:
        return files

    def is_elsewhere(file: ShownFile) -> bool:
        marks = f" {BOUNDARY} {' '.join(folder_marks(file.folders))} "
        return not any(f" {phrase} " in marks for phrase in wanted_folders)

    return sorted(files, key=is_elsewhere)

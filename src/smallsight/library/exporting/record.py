"""Everything the library knows about one picture, as it is exported."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

__all__ = ["ExportedFile", "ExportedLine", "ExportedTag", "PictureRecord", "WordsBy", "as_data"]

_SOURCES = {"human": "human", "model": "machine"}


class WordsBy(StrEnum):
    """Whose words are exported."""

    ALL = "all"
    HUMAN = "human"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file of a picture: its folder of the library, and its path below that, with "/"."""

    folder: Path
    below: str

    @property
    def path(self) -> Path:
        """The absolute path."""
        return self.folder / self.below


@dataclass(frozen=True, slots=True)
class ExportedLine:
    """A line that was read in a picture; the box is clockwise from top left, in fractions of the sides."""

    text: str
    confidence: float
    box: list[list[float]]


@dataclass(frozen=True, slots=True)
class ExportedTag:
    """A tag, and who added it: human or machine; ``origin`` is the file's field that a person's came from."""

    name: str
    by: str
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class PictureRecord:
    """What is known about one content; without a hash, about a file that could not be read.

    ``taken`` is in ISO 8601, with the offset where known; without ``date_origin`` it is the date of the file.
    """

    files: tuple[ExportedFile, ...]
    size_bytes: int
    sha256: str | None = None
    format: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    num_frames: int | None = None
    text: str | None = None
    text_by: str | None = None
    lines: tuple[ExportedLine, ...] = ()
    description: str | None = None
    description_by: str | None = None
    description_model: str | None = None
    description_origin: str | None = None
    tags: tuple[ExportedTag, ...] = ()
    problems: tuple[str, ...] = ()
    indexed_at_s: float | None = None
    taken: str | None = None
    date_origin: str | None = None
    camera: str | None = None
    kind: str | None = None
    place: tuple[float, float] | None = None

    def words_by(self, by: WordsBy) -> PictureRecord:
        """Return the record with the words of a person or of models only."""
        if by is WordsBy.ALL:
            return self
        wanted = _SOURCES[by]
        kept = replace(self, tags=tuple(tag for tag in self.tags if tag.by == wanted))
        if self.text_by != wanted:
            kept = replace(kept, text=None, text_by=None)
        if by is WordsBy.HUMAN:
            kept = replace(kept, lines=())
        if self.description_by != wanted:
            kept = replace(
                kept, description=None, description_by=None, description_model=None, description_origin=None
            )
        return kept

    @property
    def machine_tags(self) -> tuple[str, ...]:
        """The names of the tags that no person added."""
        return tuple(tag.name for tag in self.tags if tag.by != "human")


def as_data(record: PictureRecord, *, with_places: bool = False) -> dict[str, Any]:
    """Return a record as plain data; its keys and their order are the format.

    Places are in it only if they are asked for.
    """
    first, *others = record.files
    data: dict[str, Any] = {
        "path": str(first.path),
        "other_paths": [str(other.path) for other in others],
        "sha256": record.sha256,
        "size_bytes": record.size_bytes,
        "format": record.format,
        "width_px": record.width_px,
        "height_px": record.height_px,
        "frames": record.num_frames,
        "text": record.text,
        "text_by": record.text_by,
        "lines": [
            {"text": line.text, "confidence": line.confidence, "box": line.box} for line in record.lines
        ],
        "description": record.description,
        "description_by": record.description_by,
        "description_model": record.description_model,
        "description_origin": record.description_origin,
        "tags": [{"name": tag.name, "by": tag.by, "origin": tag.origin} for tag in record.tags],
        "problems": list(record.problems),
        "indexed_at_s": record.indexed_at_s,
        "taken": record.taken,
        "date_origin": record.date_origin,
        "camera": record.camera,
        "kind": record.kind,
    }
    if with_places:
        data["latitude"], data["longitude"] = record.place or (None, None)
    return data

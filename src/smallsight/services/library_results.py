"""The values that the library for Python programs returns: found pictures, results of edits and of runs.

Paths are absolute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smallsight.errors import SmallsightError

__all__ = [
    "DuplicateGroups",
    "EditResult",
    "FoundPicture",
    "FoundPictures",
    "IndexProgress",
    "IndexResult",
    "PictureInfo",
    "SkippedPicture",
    "UndoResult",
]


@dataclass(frozen=True, slots=True)
class FoundPicture:
    """A picture that a search found.

    ``other_paths`` are files with the same bytes. ``found_by`` names one or more of keyword, semantic, typo,
    substring, similar_picture and similar_text. ``highlights`` are spans of ``excerpt``. ``score`` is
    comparable only within one search; ``similarity`` is a cosine, or None. ``thumbnail`` is a small WebP.
    """

    path: Path
    other_paths: tuple[Path, ...]
    score: float
    similarity: float | None
    found_by: tuple[str, ...]
    excerpt: str
    highlights: tuple[tuple[int, int], ...]
    text: str | None
    description: str | None
    tags: tuple[str, ...]
    width_px: int | None
    height_px: int | None
    thumbnail: Path | None


@dataclass(frozen=True, slots=True)
class FoundPictures:
    """The pictures that a search found, best first; iterate over it, or use ``len`` and an index.

    ``total`` counts those beyond the limit too; a search by words stops counting at about 1,000 of each kind
    of match, one by meaning at 100. ``corrections`` maps misspelt words to those that were searched for too.
    """

    pictures: tuple[FoundPicture, ...]
    total: int
    corrections: dict[str, list[str]]
    searched_meaning: bool

    def __iter__(self) -> Iterator[FoundPicture]:
        return iter(self.pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, number: int) -> FoundPicture:
        return self.pictures[number]


@dataclass(frozen=True, slots=True)
class PictureInfo:
    """What the library knows about a picture.

    ``paths`` are its files that are there. ``text_by`` and ``description_by`` are "machine", "human" or None.
    ``machine_tags`` are those of ``tags`` that no person added; ``problems`` say what could not be done.
    """

    paths: tuple[Path, ...]
    sha256: str
    size_bytes: int
    format: str | None
    width_px: int | None
    height_px: int | None
    num_frames: int | None
    text: str | None
    text_by: str | None
    description: str | None
    description_by: str | None
    description_model: str | None
    tags: tuple[str, ...]
    machine_tags: tuple[str, ...]
    problems: tuple[str, ...]
    thumbnail: Path | None


@dataclass(frozen=True, slots=True)
class EditResult:
    """What an edit did. ``edit`` is its number for ``undo``, None if nothing changed.

    ``tags_not_there`` were to be removed, and none of the pictures had them.
    """

    edit: int | None
    changed: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    tags_not_there: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UndoResult:
    """The edit that was undone or redone, the number of pictures restored, and those changed since."""

    edit: int
    summary: str
    num_restored: int
    kept: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far a run is with its current activity; ``total`` is None if the number is unknown."""

    activity: str
    done: int
    total: int | None
    unit: str


@dataclass(frozen=True, slots=True)
class SkippedPicture:
    """A file that could not be used, with the reason."""

    path: str
    error: SmallsightError


@dataclass(frozen=True, slots=True)
class IndexResult:
    """What a run of ``index`` found and did; it is not complete if it was stopped or a folder was missing."""

    found: int
    added: int
    changed: int
    moved: int
    vanished: int
    problems: tuple[SkippedPicture, ...]
    missing_folders: tuple[Path, ...]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class DuplicateGroups:
    """Groups of files with the same bytes, and of pictures that look alike, one file of each."""

    same: tuple[tuple[Path, ...], ...]
    alike: tuple[tuple[Path, ...], ...]

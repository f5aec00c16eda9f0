"""The values that the library for Python programs returns: found pictures, results of edits and of runs.

Paths are absolute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from smallsight.errors import SmallsightError

if TYPE_CHECKING:
    from smallsight.library.duplicate_groups import DuplicateGroup

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
    substring, looks_like, similar_picture and similar_text. ``highlights`` are spans of ``excerpt``.
    ``score`` is comparable only within one search; ``similarity`` is a cosine, or None. ``thumbnail`` is a
    small WebP. ``taken`` has a time zone where it is known, and is the date of the file without
    ``date_origin``, which is exif, xmp, iptc, png, takeout, or kin for that of another file of the same
    picture. ``kind`` is photo, picture, animation, video or document. ``duration_s`` is the length of a
    video, ``found_at_s`` when an animation or a video shows the frame that looks like what was searched for.
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
    taken: datetime
    date_origin: str | None
    camera: str | None
    kind: str
    num_frames: int | None
    format: str | None
    size_bytes: int
    duration_s: float | None = None
    found_at_s: float | None = None


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
    ``taken``, ``date_origin`` and ``kind`` are as in ``FoundPicture``; ``place`` is degrees north and east.
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
    taken: datetime | None
    date_origin: str | None
    camera: str | None
    kind: str
    place: tuple[float, float] | None = field(repr=False)
    duration_s: float | None = None


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
    """Groups of identical files, of copies of one picture, and of similar pictures, with one file of each."""

    same: tuple[tuple[Path, ...], ...]
    alike: tuple[tuple[Path, ...], ...]
    similar: tuple[tuple[Path, ...], ...] = ()

    @classmethod
    def of(cls, found: Iterable[DuplicateGroup]) -> DuplicateGroups:
        """Sort groups of the library by what is the same in them."""
        same, alike, similar = [], [], []
        for group in found:
            firsts = tuple(member.paths[0] for member in group.members)
            if group.kind == "similar":
                similar.append(firsts)
                continue
            same += [member.paths for member in group.members if len(member.paths) > 1]
            if len(firsts) > 1:
                alike.append(firsts)
        return cls(tuple(same), tuple(alike), tuple(similar))

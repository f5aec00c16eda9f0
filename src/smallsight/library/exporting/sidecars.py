"""Writes a sidecar for each picture: a caption in a text file, or XMP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from functools import partial
from pathlib import Path
from typing import Protocol

from smallsight.errors import SmallsightError, StorageError
from smallsight.library.exporting.new_files import replace_file, write_error
from smallsight.library.exporting.placement import CaptionNames, Placement
from smallsight.library.exporting.record import ExportedFile, PictureRecord
from smallsight.library.exporting.written_files import WrittenFiles
from smallsight.library.exporting.xmp_document import XmpError
from smallsight.library.exporting.xmp_words import merge_words

__all__ = ["CaptionSidecars", "Sidecar", "SidecarState", "Sidecars", "XmpSidecars", "caption_of"]

_MAX_SIDECAR_BYTES = 16 * 1024 * 1024


class SidecarState(StrEnum):
    """What happened to a sidecar."""

    WRITTEN = auto()
    UNCHANGED = auto()  # it has these words already
    WORDLESS = auto()  # there are no words for it
    KEPT = auto()  # another program's words in it stayed
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One sidecar, and why it was kept or could not be written."""

    path: Path
    state: SidecarState
    reason: str | None = None
    error: SmallsightError | None = None


class Sidecars(Protocol):
    """Writes the sidecars of one kind."""

    def write(self, record: PictureRecord) -> Iterator[Sidecar]:
        """Write a sidecar for each file of a record, and report each."""
        ...


class CaptionSidecars:
    """``photo.txt`` beside ``photo.jpg``, as programs that train models on pictures read it.

    It holds the description, without one the tags. A file with other content than an export wrote is kept,
    except with ``overwrite``.
    """

    def __init__(
        self, names: CaptionNames, placement: Placement, written: WrittenFiles, *, overwrite: bool
    ) -> None:
        self._names, self._placement, self._written = names, placement, written
        self._overwrite = overwrite

    def write(self, record: PictureRecord) -> Iterator[Sidecar]:
        """Write the same caption for each file."""
        caption = caption_of(record)
        for file in record.files:
            path = self._placement.folder_of(file) / self._names.name_of(file)
            former = self._names.former_name_of(file)
            yield _guarded(path, partial(self._write_one, path, caption, former))

    def _write_one(self, path: Path, caption: str | None, former: str | None) -> Sidecar:
        if former is not None:
            self._delete_own(path.with_name(former))
        existing = _existing(path)
        data = None if caption is None else f"{caption}\n".encode()
        if existing == data:
            return Sidecar(path, SidecarState.WORDLESS if data is None else SidecarState.UNCHANGED)
        is_ours = existing is None or self._written.holds(path, existing)
        if data is None:
            is_deleted = self._delete_own(path)
            return Sidecar(path, SidecarState.WRITTEN if is_deleted else SidecarState.WORDLESS)
        if not is_ours and not self._overwrite:
            return Sidecar(path, SidecarState.KEPT, "Smallsight did not write it")
        self._written.add(path, data)
        _write(path, data, self._placement)
        return Sidecar(path, SidecarState.WRITTEN)

    def _delete_own(self, path: Path) -> bool:
        """Delete a caption that an export wrote and nobody has changed; return whether there was one."""
        if not path.is_file() or path.is_symlink() or path.stat().st_size > _MAX_SIDECAR_BYTES:
            return False
        if not self._written.holds(path, path.read_bytes()):
            return False
        path.unlink()
        return True


class XmpSidecars:
    """``photo.jpg.xmp`` beside ``photo.jpg``, as photo managers read it."""

    def __init__(self, placement: Placement, *, overwrite: bool) -> None:
        self._placement = placement
        self._overwrite = overwrite

    def write(self, record: PictureRecord) -> Iterator[Sidecar]:
        """Write the same words for each file, beside those of other programs."""
        for file in record.files:
            path = self._placement.folder_of(file) / _xmp_name(file)
            yield _guarded(path, partial(self._write_one, path, record))

    def _write_one(self, path: Path, record: PictureRecord) -> Sidecar:
        existing = _existing(path)
        if existing is None and record.description is None and not record.tags:
            return Sidecar(path, SidecarState.WORDLESS)
        try:
            merged = merge_words(existing, record, overwrite=self._overwrite)
        except XmpError as error:
            return Sidecar(path, SidecarState.KEPT, str(error))
        if merged.data is not None:
            _write(path, merged.data, self._placement)
        if merged.is_kept:
            return Sidecar(path, SidecarState.KEPT, "it has a description by another program")
        return Sidecar(path, SidecarState.UNCHANGED if merged.data is None else SidecarState.WRITTEN)


def caption_of(record: PictureRecord) -> str | None:
    """Return the description on one line, without one the tags; None without both."""
    words = record.description or ", ".join(tag.name for tag in record.tags)
    return " ".join(words.split()) or None


def _xmp_name(file: ExportedFile) -> str:
    return f"{Path(file.below).name}.xmp"


def _guarded(path: Path, write_one: Callable[[], Sidecar]) -> Sidecar:
    """Return the report of one sidecar; whatever is odd about it does not stop the others."""
    try:
        return write_one()
    except SmallsightError as error:
        return Sidecar(path, SidecarState.FAILED, error=error)
    except OSError as error:
        return Sidecar(path, SidecarState.FAILED, error=write_error(path, error))


def _existing(path: Path) -> bytes | None:
    """Return the content of a sidecar that is there; raises StorageError for what is not a plain file."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise StorageError(f"{path} is not a plain file.", hint="remove it, or choose a folder with --out.")
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SIDECAR_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(data) > _MAX_SIDECAR_BYTES:
        raise StorageError(f"{path} is too large for a sidecar.", hint="remove it, or use --out.")
    return data


def _write(path: Path, data: bytes, placement: Placement) -> None:
    """Replace a sidecar; folders are created only in another place than beside the pictures."""
    if not placement.is_beside:
        path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data)

"""A folder with a copy of each picture and its caption in a text file, as programs for training read it.

The names come from the data set, which may be a stranger's: they are made safe, and nothing is written
outside the folder.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from smallsight.captioning.caption_columns import CaptionColumns
from smallsight.captioning.caption_writers import JsonLinesOutput, WritesRow
from smallsight.captioning.source_picture import SourcePicture
from smallsight.library.exporting.new_files import replace_file, write_error
from smallsight.media.file_kinds import FileKind, kind_of_name
from smallsight.media.formats import readable_format

__all__ = ["CopiesOutput", "safe_name"]

_ROWS_NAME = "captions.jsonl"
_SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif", "HEIF": ".heic"}  # of other formats it is their name
_MAX_NAME_BYTES = 120
_NOT_IN_NAMES = frozenset('<>:"/\\|?*')
_DEVICES = frozenset(
    "con prn aux nul".split() + [f"{kind}{number}" for kind in ("com", "lpt") for number in range(10)]
)


class CopiesOutput:
    """The folder; ``captions.jsonl`` in it has the rows, with the reasons for those that have no copy."""

    def __init__(self, folder: Path, *, has_several_sources: bool) -> None:
        """Pictures of several sources are in a folder for each."""
        self._folder = folder
        self._has_several_sources = has_several_sources
        self._rows = JsonLinesOutput(folder / _ROWS_NAME)
        self._taken: set[str] = set()

    def keep(self, picture: SourcePicture, data: bytes, sha256: str) -> str:
        """Copy a picture unless it is there, and return its path in the folder, with "/"."""
        name = self._free_name(picture, data, sha256)
        path = self._folder / name
        try:
            if not path.is_file() or path.stat().st_size != len(data):
                path.parent.mkdir(parents=True, exist_ok=True)
                replace_file(path, data)
        except OSError as error:
            raise write_error(path, error) from error
        return name

    @contextmanager
    def open(self, columns: CaptionColumns, request: Mapping[str, Any]) -> Iterator[WritesRow]:
        """Write a caption beside each copy, and remove the copies of pictures without one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._rows.open(columns, request) as write_row:

            def write(row: dict[str, Any], kept: str | None) -> None:
                caption = " ".join((row[columns.prompts[0]] or "").split())
                is_kept = kept is not None and self._write_caption(
                    kept, caption, is_bad=row["error"] is not None
                )
                write_row(row, kept if is_kept else None)

            yield write

    def _write_caption(self, kept: str, caption: str, *, is_bad: bool) -> bool:
        picture = self._folder / kept
        path = picture.with_suffix(".txt")
        try:
            if is_bad or not caption:
                path.unlink(missing_ok=True)
            if is_bad:
                picture.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(path, error) from error
        if not is_bad and caption:
            replace_file(path, f"{caption}\n".encode())
        return not is_bad

    def _free_name(self, picture: SourcePicture, data: bytes, sha256: str) -> str:
        """Return a name whose caption no other picture has; the same in every run over the same pictures."""
        folder, stem = _place(picture, in_folder_of_source=self._has_several_sources)
        for number in range(1_000_000):
            more = ("", f"-{sha256[:8]}")[min(number, 1)] + (f"-{number}" if number > 1 else "")
            folded = unicodedata.normalize("NFC", f"{folder}{stem}{more}").casefold()
            if folded not in self._taken:
                self._taken.add(folded)
                return f"{folder}{stem}{more}{_suffix(picture.name, data)}"
        raise AssertionError("a million pictures with the same name and hash")


def safe_name(name: str) -> str:
    """Return a file name that every system accepts and that leads nowhere, for any text."""
    kept = "".join("_" if one in _NOT_IN_NAMES or not one.isprintable() else one for one in name)
    cut = kept.encode("utf-8", "replace")[:_MAX_NAME_BYTES].decode("utf-8", "ignore").strip(" .")
    return f"_{cut}" if not cut or cut.split(".")[0].casefold() in _DEVICES or cut.startswith("-") else cut


def _place(picture: SourcePicture, *, in_folder_of_source: bool) -> tuple[str, str]:
    """Return the folder of a copy, ending in "/" unless it is empty, and the name without its suffix."""
    *above, last = PurePosixPath(picture.key).parts or ("_",)
    stem = PurePosixPath(picture.name).stem if picture.name.startswith(last) else last
    source = PurePosixPath(picture.source).parts if in_folder_of_source else ()
    folder = "".join(f"{safe_name(one)}/" for one in (*source, *above) if one != "/")
    return folder, safe_name(stem)


def _suffix(name: str, data: bytes) -> str:
    if kind_of_name(name) in {FileKind.PICTURE, FileKind.VIDEO}:
        return PurePosixPath(name).suffix.lower()
    found = readable_format(data)
    return _SUFFIXES.get(found, f".{found.lower()}") if found else ".bin"

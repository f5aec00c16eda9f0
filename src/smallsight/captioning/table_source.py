"""Pictures in the rows of a Parquet or Arrow file: their bytes, or paths of files beside it."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

from smallsight.captioning.source_picture import SourcePicture, WantsKey, shown_name
from smallsight.captioning.table_process import TableProcess, require_table_reader
from smallsight.errors import (
    DecoderFailedError,
    PictureError,
    PictureNotFoundError,
    PictureTooLargeError,
    SmallsightError,
)
from smallsight.media.files import read_picture_file
from smallsight.settings import Limits

__all__ = ["TableSource"]

_MAX_PASSED = 1_000  # rows; before the next question to the child
_ADDRESSES = ("http:", "https:", "s3:", "gs:", "hf:", "ftp:", "data:")


class TableSource:
    """A ``DataSource``; the key of a picture is the number of its row, from 0.

    The file is read by a child process without rights. Paths in it lead only to files below
    ``pictures_folder``.
    """

    def __init__(
        self, path: Path, name: str, limits: Limits, *, column: str | None, pictures_folder: Path | None
    ) -> None:
        """Raise MissingExtraError, PictureNotFoundError, and ArgumentError for a table without pictures."""
        require_table_reader()
        if not path.is_file():
            raise PictureNotFoundError(f"There is no such file: {path}", hint="check the path.")
        self.name = name
        self.size_bytes = path.stat().st_size
        self.fraction_read = 0.0
        self._path = path
        self._limits = limits
        self._column = column
        self._folder = Path(os.path.abspath(pictures_folder or path.parent))  # noqa: PTH100 - keeps links

    def count(self, wants: WantsKey) -> None:
        """Return None: only opening it tells."""

    def require_column(self) -> None:
        """Raise the error of a table that cannot be opened, or has no pictures."""
        with closing(_OpenTable(self._path, self._limits, self._column)):
            pass

    def pictures(self, wants: WantsKey) -> Generator[SourcePicture, None, None]:
        """Yield the rows in order; after damage, an error and nothing more."""
        self.fraction_read = 0.0
        number = 0
        try:
            with closing(_OpenTable(self._path, self._limits, self._column)) as table:
                while (row := table.next_row(_next_wanted(number, wants))) is not None:
                    number, picture = row
                    self.fraction_read = table.fraction_read(number)
                    if wants(str(number)):
                        yield self._as_picture(number, *picture)
                    number += 1
        except SmallsightError as error:
            if wants(""):
                yield SourcePicture(self.name, "", shown_name(self._path.name), error)
        self.fraction_read = 1.0

    def _as_picture(self, number: int, path: str | None, data: bytes | PictureError | None) -> SourcePicture:
        name = (path or "").replace("\\", "/").rsplit("/", 1)[-1]
        found: bytes | SmallsightError
        if data is not None:
            found = data
        elif path:
            try:
                found = self._read_file(path)
            except PictureError as error:
                found = error
        else:
            found = PictureNotFoundError("There is no picture in this row.")
        return SourcePicture(self.name, str(number), shown_name(name), found)

    def _read_file(self, path: str) -> bytes:
        if path.lower().startswith(_ADDRESSES):
            raise PictureNotFoundError(
                f"Addresses are not fetched: {path}", hint="download the pictures and use their paths."
            )
        wanted = Path(os.path.abspath(self._folder / path))  # noqa: PTH100 - without following links
        if not wanted.is_relative_to(self._folder):
            raise PictureNotFoundError(
                f"This path leads out of the folder of the pictures: {path}",
                hint="name the folder that holds them with --pictures.",
            )
        return read_picture_file(wanted, self._limits, inside=self._folder)


class _OpenTable:
    """The child that has the file open. Close it."""

    def __init__(self, path: Path, limits: Limits, column: str | None) -> None:
        self._limits = limits
        self._num_rows: int | None = None
        self._process = TableProcess(path, limits)
        try:
            reply, _ = self._process.ask({"column": column, "max_bytes": limits.max_file_bytes})
            self._num_rows = None if reply["num_rows"] is None else int(reply["num_rows"])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the child."""
        self._process.close()

    def fraction_read(self, number: int) -> float:
        """Return how much of the table lies before a row; without a number of rows a guess: half."""
        return 0.5 if not self._num_rows else min(1.0, (number + 1) / self._num_rows)

    def next_row(self, first: int) -> tuple[int, tuple[str | None, bytes | PictureError | None]] | None:
        """Return the number, path and data of the first row from a number on; None at the end."""
        reply, data = self._process.ask({"row": first})
        if "end" in reply:
            return None
        try:
            number, path, size_bytes = int(reply["row"]), reply["path"], reply["size_bytes"]
            if number < first or not (path is None or isinstance(path, str)):
                raise ValueError("not the row that was asked for")
            if size_bytes is None:
                return number, (path, None)
            if int(size_bytes) > self._limits.max_file_bytes:
                return number, (path, _too_large(int(size_bytes), self._limits.max_file_bytes))
        except (KeyError, TypeError, ValueError) as error:
            raise DecoderFailedError("The reader of tables returned an invalid reply.") from error
        return number, (path, data)


def _next_wanted(number: int, wants: WantsKey) -> int:
    """Return the first wanted row from a number on, or one before it: there may be none."""
    return next((one for one in range(number, number + _MAX_PASSED) if wants(str(one))), number + _MAX_PASSED)


def _too_large(size_bytes: int, max_bytes: int) -> PictureTooLargeError:
    return PictureTooLargeError(
        f"The picture has {size_bytes} bytes (limit {max_bytes}).",
        hint="raise limits.max_file_bytes or make the picture smaller.",
    )

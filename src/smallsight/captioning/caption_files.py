"""Reads the captions of a file row by row: Parquet or Arrow in a child without rights, JSON lines here."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from smallsight.captioning.caption_columns import CAPTION
from smallsight.captioning.given_captions import AskedRun, BadRow, GivenRow, caption_of
from smallsight.captioning.table_process import TableProcess, require_table_reader
from smallsight.errors import ArgumentError, DecoderFailedError, PictureNotFoundError
from smallsight.policy.shown_text import on_one_line
from smallsight.settings import Limits

__all__ = ["CaptionFile", "ColumnChoice", "open_caption_file"]

_TABLES = frozenset({".parquet", ".arrow"})
_LINES = frozenset({".jsonl", ".ndjson"})
_ABOUT_A_ROW = ("sha256", "model", "error", "error_code")
_MAX_LINE_BYTES = 4 * 1024 * 1024
_MAX_FACT_CHARS = 1_000  # of what is read beside the captions
_LOGGED_ROW = "row"  # of a log of ``smallsight caption``


class ColumnChoice:
    """Which column has the captions, and what made those of rows that name no model."""

    def __init__(self, column: str | None = None, model: str | None = None) -> None:
        self.column = column
        self.model = model


class CaptionFile(Protocol):
    """A file with captions."""

    fraction_read: float

    def rows(self) -> Generator[GivenRow, None, None]:
        """Yield every row in order; raises subclasses of SmallsightError for a damaged file."""
        ...


def open_caption_file(path: Path, limits: Limits, choice: ColumnChoice) -> CaptionFile:
    """Return a file of captions, by its ending.

    Raises ArgumentError for another ending, PictureNotFoundError without the file, and MissingExtraError.
    """
    ending = path.suffix.lower()
    if ending not in _TABLES | _LINES:
        raise ArgumentError(
            f"The ending of {path.name} says no format with captions.",
            hint="use .parquet, .arrow or .jsonl, as `smallsight caption` and `describe --out` write them.",
        )
    if not path.is_file():
        raise PictureNotFoundError(f"There is no such file: {path}", hint="check the path.")
    return _CaptionTable(path, limits, choice) if ending in _TABLES else _CaptionLines(path, limits, choice)


class _CaptionTable:
    """A ``CaptionFile`` of Parquet or Arrow."""

    def __init__(self, path: Path, limits: Limits, choice: ColumnChoice) -> None:
        require_table_reader()
        self.fraction_read = 0.0
        self._path = path
        self._limits = limits
        self._choice = choice

    def rows(self) -> Generator[GivenRow, None, None]:
        """Yield every row in order."""
        self.fraction_read = 0.0
        max_chars = self._limits.max_text_chars
        with closing(TableProcess(self._path, self._limits)) as process:
            num_rows, columns, asked = _opened(process)
            column = self._column(columns, asked)
            wanted = [name for name in (*_ABOUT_A_ROW, column) if name in columns]
            process.ask({"texts": wanted, "max_chars": max(max_chars, _MAX_FACT_CHARS)})
            number = 0
            while True:
                reply, data = process.ask({"next_texts": True})
                if "end" in reply:
                    break
                for row in _rows_in(data, len(wanted)):
                    number += 1
                    self.fraction_read = min(1.0, number / num_rows) if num_rows else 0.5
                    values = dict(zip(wanted, row, strict=True))
                    yield caption_of(values, column, asked, max_chars, model=self._choice.model)
        self.fraction_read = 1.0

    def _column(self, columns: list[str], asked: AskedRun) -> str:
        column = self._choice.column or asked.column(columns)
        if "sha256" not in columns or column is None or column not in columns:
            missing = "sha256" if "sha256" not in columns else self._choice.column or CAPTION
            listed = on_one_line(", ".join(columns)) or "none"
            raise ArgumentError(
                f"There is no column {missing!r} of texts in this table: {self._path}",
                hint=f"name the one with the captions with --column; there are: {listed}.",
            )
        return column


class _CaptionLines:
    """A ``CaptionFile`` of JSON lines: rows, lines of a log, or answers of ``describe --out``."""

    def __init__(self, path: Path, limits: Limits, choice: ColumnChoice) -> None:
        self.fraction_read = 0.0
        self._path = path
        self._max_chars = limits.max_text_chars
        self._choice = choice

    def rows(self) -> Generator[GivenRow, None, None]:
        """Yield every line in order; an empty one is passed over."""
        self.fraction_read = 0.0
        num_read = 0
        try:
            size_bytes = max(1, self._path.stat().st_size)
            with self._path.open("rb") as file:
                while line := file.readline(_MAX_LINE_BYTES):
                    num_read += len(line)
                    self.fraction_read = min(1.0, num_read / size_bytes)
                    if len(line) == _MAX_LINE_BYTES and not line.endswith(b"\n"):
                        num_read += _skip_line(file)
                        yield BadRow.NOT_A_ROW
                    elif line.strip():
                        yield self._caption(line)
        except OSError as error:
            raise PictureNotFoundError(
                f"This file cannot be read ({error.strerror or error}): {self._path}", hint="check the path."
            ) from error
        self.fraction_read = 1.0

    def _caption(self, line: bytes) -> GivenRow:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return BadRow.NOT_A_ROW
        if not isinstance(found, dict):
            return BadRow.NOT_A_ROW
        asked = AskedRun.parse(found.get("request"))
        logged = found.get(_LOGGED_ROW)
        values: dict[str, Any] = {**found, **logged} if isinstance(logged, dict) else found
        column = self._choice.column or asked.column(values) or CAPTION
        return caption_of(values, column, asked, self._max_chars, model=self._choice.model)


def _opened(process: TableProcess) -> tuple[int | None, list[str], AskedRun]:
    """Return the number of rows, the columns of texts, and what the run was asked."""
    reply, data = process.ask({"text_columns": True})
    try:
        described = json.loads(data)
        num_rows, columns = reply["num_rows"], [str(name) for name in described["columns"]]
        about = str(described["about"])
        return None if num_rows is None else int(num_rows), columns, AskedRun.parse(about)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _invalid_reply() from error


def _rows_in(data: bytes, num_columns: int) -> list[list[str | None]]:
    try:
        rows: list[list[str | None]] = json.loads(data)
        if any(len(row) != num_columns for row in rows):
            raise ValueError("not the columns that were asked for")
    except (TypeError, ValueError, RecursionError) as error:
        raise _invalid_reply() from error
    return rows


def _invalid_reply() -> DecoderFailedError:
    return DecoderFailedError("The reader of tables returned an invalid reply.")


def _skip_line(file: BinaryIO) -> int:
    """Read on to the end of a line, and return how many bytes that was."""
    num_skipped = 0
    while part := file.readline(_MAX_LINE_BYTES):
        num_skipped += len(part)
        if part.endswith(b"\n"):
            break
    return num_skipped

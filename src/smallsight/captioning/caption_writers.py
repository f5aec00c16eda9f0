"""Write the rows of a run to a Parquet file or as JSON lines: complete or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from smallsight.captioning.caption_columns import CaptionColumns, vector_column
from smallsight.captioning.caption_work import decode_vector
from smallsight.captioning.source_picture import SourcePicture
from smallsight.captioning.table_process import require_table_reader
from smallsight.library.exporting.new_files import unfinished_file
from smallsight.library.exporting.parquet import ParquetRows

__all__ = ["JsonLinesOutput", "ParquetOutput", "RowOutput", "WritesRow"]

WritesRow = Callable[[dict[str, Any], str | None], None]  # a row, and the path that ``keep`` returned for it


class RowOutput(Protocol):
    """Where the captions of a data set go."""

    def keep(self, picture: SourcePicture, data: bytes, sha256: str) -> str | None:
        """Keep a copy of a picture, if that is part of the output, and return its path in it.

        Called for each picture in order, before the rows are written.
        """
        ...

    @contextmanager
    def open(self, columns: CaptionColumns, request: Mapping[str, Any]) -> Iterator[WritesRow]:
        """Yield what takes the rows in order; the output is complete when the block ends without an error."""
        ...


class ParquetOutput:
    """A Parquet file; the same rows make the same bytes."""

    def __init__(self, path: Path) -> None:
        """Raise MissingExtraError without pyarrow."""
        require_table_reader()
        self._path = path

    def keep(self, picture: SourcePicture, data: bytes, sha256: str) -> None:
        """Keep nothing."""

    @contextmanager
    def open(self, columns: CaptionColumns, request: Mapping[str, Any]) -> Iterator[WritesRow]:
        """Write a new file that replaces an earlier one at the end."""
        with unfinished_file(self._path, is_only_writer=True) as unfinished:
            rows = ParquetRows(unfinished, lambda arrow: columns.parquet_schema(arrow, request))
            yield lambda row, _: rows.write(with_vectors(row, columns))
            rows.close()


class JsonLinesOutput:
    """A file with a JSON object a line, in ASCII."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, picture: SourcePicture, data: bytes, sha256: str) -> None:
        """Keep nothing."""

    @contextmanager
    def open(
        self,
        columns: CaptionColumns,
        request: Mapping[str, Any],  # noqa: ARG002 - as every output
    ) -> Iterator[WritesRow]:
        """Write a new file that replaces an earlier one at the end."""
        with (
            unfinished_file(self._path, is_only_writer=True) as unfinished,
            unfinished.open("w", encoding="ascii", newline="") as file,
        ):

            def write(row: dict[str, Any], kept: str | None) -> None:
                copy = {} if kept is None else {"file": kept}
                file.write(json.dumps(with_vectors(row, columns) | copy) + "\n")

            yield write


def with_vectors(row: dict[str, Any], columns: CaptionColumns) -> dict[str, Any]:
    """Return the row with vectors as lists of numbers."""
    encoded = {name: row.get(name) for name in map(vector_column, columns.embedded)}
    return row | {name: decode_vector(text) for name, text in encoded.items() if text is not None}

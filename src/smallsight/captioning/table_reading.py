"""Reads pictures or texts of a Parquet or Arrow file; runs in the child that has only this file.

Needs pyarrow. What a file says is not trusted: the process around this has no rights, and limited memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ChosenColumn", "TableReader", "TableRow", "choose_column"]

_ROWS_AT_ONCE = 16
_NAMES_OF_BYTES = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "bytes", "image_bytes")
_NAMES_OF_PATHS = ("image", "file_name", "filename", "image_path", "path", "file", "filepath", "file_path")
_FILE_MARK = b"ARROW1"  # a stream has none
_BYTES, _PATH = "bytes", "path"


@dataclass(frozen=True, slots=True)
class ChosenColumn:
    """The column that holds the pictures; ``kind`` is struct, bytes or path."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row's number from 0, and its picture: bytes, or else a path, or neither."""

    number: int
    data: bytes | None
    path: str | None


def choose_column(schema: Any, wanted: str | None) -> ChosenColumn | None:  # noqa: ANN401 - no types
    """Return the wanted column, or the one that looks like pictures; None if there is none."""
    kinds = {field.name: kind for field in schema if (kind := _kind(field.type)) is not None}
    if wanted is not None:
        return ChosenColumn(wanted, kinds[wanted]) if wanted in kinds else None
    by_kind = {kind: [name for name, one in kinds.items() if one == kind] for kind in ("struct", _BYTES)}
    named = [name for name in _NAMES_OF_BYTES if kinds.get(name) == _BYTES]
    paths = [name for name in _NAMES_OF_PATHS if kinds.get(name) == _PATH]
    for name in (*by_kind["struct"], *named, *by_kind[_BYTES], *paths):
        return ChosenColumn(name, kinds[name])
    return None


class TableReader:
    """One open Parquet or Arrow file."""

    def __init__(self, mapped: Any, kind: str) -> None:  # noqa: ANN401 - pyarrow has no types
        """``kind`` is parquet or arrow, of which there are streams, as data sets are saved, and files."""
        from pyarrow import ipc, parquet  # noqa: PLC0415 - an extra

        self.num_rows: int | None = None
        if kind == "parquet":
            self._parquet = parquet.ParquetFile(mapped, pre_buffer=False)
            self.num_rows = self._parquet.metadata.num_rows
            self.schema = self._parquet.schema_arrow
            return
        self._parquet = None
        is_file = mapped.read(len(_FILE_MARK)) == _FILE_MARK
        mapped.seek(0)
        opened = ipc.open_file(mapped) if is_file else ipc.open_stream(mapped)
        self.schema = opened.schema
        self._arrow = map(opened.get_batch, range(opened.num_record_batches)) if is_file else opened

    def rows(self, column: ChosenColumn) -> Iterator[TableRow]:
        """Yield all rows in order, once."""
        number = 0
        for values in self._batches(column.name):
            for value in values:
                yield _row(number, value.as_py(), column.kind)
                number += 1

    def text_columns(self) -> list[str]:
        """Return the names of the columns that hold texts."""
        return [field.name for field in self.schema if _kind(field.type) == _PATH]

    def texts(self, columns: Sequence[str], max_chars: int) -> Iterator[list[list[str | None]]]:
        """Yield all rows in order, some at a time; each has the texts of these columns.

        One character more than ``max_chars`` shows that a text is longer. What is not valid Unicode is None.
        """
        for batch in self._record_batches(list(columns)):
            for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
                part = batch.slice(start, _ROWS_AT_ONCE)
                cells = [
                    [_text(value, max_chars) for value in part.column(part.schema.get_field_index(name))]
                    for name in columns
                ]
                yield [list(row) for row in zip(*cells, strict=True)]

    def _batches(self, name: str) -> Iterator[Any]:
        for batch in self._record_batches([name]):
            yield batch.column(batch.schema.get_field_index(name))

    def _record_batches(self, names: list[str]) -> Iterator[Any]:
        if self._parquet is None:
            yield from self._arrow
        else:
            yield from self._parquet.iter_batches(_ROWS_AT_ONCE, columns=names, use_threads=False)


def _row(number: int, value: object, kind: str) -> TableRow:
    data = path = None
    if isinstance(value, dict):
        data, path = value.get(_BYTES), value.get(_PATH)
    elif kind == _BYTES:
        data = value
    else:
        path = value
    return TableRow(
        number, data if isinstance(data, bytes) else None, path if isinstance(path, str) else None
    )


def _text(value: Any, max_chars: int) -> str | None:  # noqa: ANN401
    try:
        text = value.as_py()
    except UnicodeDecodeError:
        return None
    return text[: max_chars + 1] if isinstance(text, str) else None


def _kind(kind: Any) -> str | None:  # noqa: ANN401
    from pyarrow import types  # noqa: PLC0415 - an extra

    while hasattr(kind, "storage_type"):
        kind = kind.storage_type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_struct(kind):
        names = {kind.field(index).name for index in range(kind.num_fields)}
        return "struct" if _BYTES in names else None
    # Polars writes views.
    if any(is_kind(kind) for is_kind in (types.is_binary, types.is_large_binary, types.is_binary_view)):
        return _BYTES
    if any(is_kind(kind) for is_kind in (types.is_string, types.is_large_string, types.is_string_view)):
        return _PATH
    return None

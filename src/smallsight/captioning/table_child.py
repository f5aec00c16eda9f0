"""The child that reads one table: ``python -m smallsight.captioning.table_child MEMORY_BYTES PARENT_PID
KIND PATH``.

It maps the file into memory, drops every right, and then returns pictures or texts row by row.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from smallsight.captioning.table_reading import TableReader, TableRow, choose_column
from smallsight.media.sandbox import lock_down
from smallsight.media.wire import OUT_OF_MEMORY, read_bytes, read_header, write_frame

__all__ = ["main"]

_MAX_COLUMNS_NAMED = 50
_MAX_TEXT_COLUMNS = 1_000
_MAX_NAME_CHARS = 100
_MAX_PATH_CHARS = 4_096
_MAX_DETAIL_CHARS = 300
_MAX_METADATA_BYTES = 65_536
_METADATA = b"smallsight"


def main(arguments: list[str]) -> int:
    """Open the file, lock down, then serve requests on standard input and output; return the exit code."""
    memory_bytes, parent_pid, kind, path = int(arguments[0]), int(arguments[1]), arguments[2], arguments[3]
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # others reserve more addresses than are allowed
    import pyarrow.ipc  # noqa: PLC0415 - an extra, which the parent has found
    import pyarrow.parquet  # noqa: PLC0415

    mapped, size_bytes, problem = None, 0, ""
    try:
        size_bytes = Path(path).stat().st_size
        mapped = pyarrow.memory_map(path)
    except (OSError, ValueError) as error:
        problem = str(error)
    reasons = lock_down(memory_bytes + size_bytes, parent_pid)
    write_frame(replies, {"ready": True, "not_in_force": reasons})
    return _serve(sys.stdin.buffer, replies, _ServedTable(mapped, problem, kind))


class _ServedTable:
    """The mapped file, and the rows that are left."""

    def __init__(self, mapped: Any, problem: str, kind: str) -> None:  # noqa: ANN401 - no types
        self._mapped = mapped
        self._problem = problem
        self._kind = kind
        self._reader: TableReader | None = None
        self._rows: Iterator[TableRow] = iter(())
        self._texts: Iterator[list[list[str | None]]] = iter(())
        self._max_bytes = 0

    def answer(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Return the reply to a request: to open the file, or for what comes next.

        A file is opened for the pictures of one column, which are returned row by row from a number on, or
        for texts: its columns, then those that are wanted, then some rows at a time.
        """
        if "row" in header:
            return self._next(header["row"])
        if "next_texts" in header:
            return self._next_texts()
        if self._mapped is None:
            return {"error": "unreadable", "detail": self._problem[:_MAX_DETAIL_CHARS]}, b""
        self._reader = self._reader or TableReader(self._mapped, self._kind)
        if "texts" in header:
            self._texts = self._reader.texts(header["texts"], header["max_chars"])
            return {}, b""
        if "text_columns" in header:
            return _columns_of(self._reader)
        return self._open_pictures(self._reader, header)

    def _open_pictures(self, reader: TableReader, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        self._max_bytes = header["max_bytes"]
        column = choose_column(reader.schema, header["column"])
        if column is None:
            names = [name[:_MAX_NAME_CHARS] for name in reader.schema.names[:_MAX_COLUMNS_NAMED]]
            return {"error": "no_column", "columns": names}, b""
        self._rows = reader.rows(column)
        return {"num_rows": reader.num_rows}, b""

    def _next_texts(self) -> tuple[dict[str, Any], bytes]:
        rows = next(self._texts, None)
        return ({"end": True}, b"") if rows is None else ({}, json.dumps(rows).encode())

    def _next(self, first: int) -> tuple[dict[str, Any], bytes]:
        for row in self._rows:
            if row.number < first:
                continue
            data = row.data or b""
            reply = {
                "row": row.number,
                "path": None if row.path is None else row.path[:_MAX_PATH_CHARS],
                "size_bytes": None if row.data is None else len(data),
            }
            return reply, data if len(data) <= self._max_bytes else b""
        return {"end": True}, b""


def _columns_of(reader: TableReader) -> tuple[dict[str, Any], bytes]:
    """Return the columns of texts, and what ``smallsight caption`` wrote about its run."""
    names = [name for name in reader.text_columns() if len(name) <= _MAX_NAME_CHARS][:_MAX_TEXT_COLUMNS]
    about = (reader.schema.metadata or {}).get(_METADATA, b"")[:_MAX_METADATA_BYTES]
    described = {"columns": names, "about": about.decode("utf-8", "replace")}
    return {"num_rows": reader.num_rows}, json.dumps(described).encode()


def _serve(requests: BinaryIO, replies: BinaryIO, table: _ServedTable) -> int:
    """Serve requests until the input ends, or the file turns out to be damaged."""
    while True:
        try:
            header, num_bytes = read_header(requests)
            read_bytes(requests, num_bytes)
        except EOFError:
            return 0
        try:
            reply, data = table.answer(header)
        except MemoryError:
            write_frame(replies, {"error": OUT_OF_MEMORY})
            return 1
        except (OSError, ValueError, KeyError, NotImplementedError, TypeError) as error:
            write_frame(
                replies,
                {"error": "damaged", "detail": f"{type(error).__name__}: {error}"[:_MAX_DETAIL_CHARS]},
            )
            return 1
        write_frame(replies, reply, data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

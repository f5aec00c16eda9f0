"""Read-only connections to a library's file, without SQLAlchemy, whose import takes longer than a search."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smallsight.library.opened_file import open_for_reading

BUSY_TIMEOUT_MS = 5_000
_MAX_IDLE = 4


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open the file at path; the connection may be used from any thread, by one at a time."""
    connection = open_for_reading(path)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute(f"PRAGMA cache_size = {-8 * 1024}")  # KiB
    return connection


class Readers:
    """Connections for any number of threads; a few stay open for the next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._turn = threading.Lock()
        self._is_closed = False
        self._watching: sqlite3.Connection | None = None

    def version(self) -> int:
        """Return a number that changes with every commit of any other connection."""
        with self._turn:
            if self._watching is None:  # the number is only comparable within one connection
                self._watching = connect_read_only(self._path)
            number: int = self._watching.execute("PRAGMA data_version").fetchone()[0]
            return number

    @contextmanager
    def cursor(self) -> Iterator[sqlite3.Cursor]:
        """Yield a cursor that sees one consistent state."""
        with self._turn:
            connection = self._idle.pop() if self._idle else None
        connection = connection or connect_read_only(self._path)
        try:
            connection.execute("BEGIN")
            yield connection.cursor()
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)

    def close(self) -> None:
        """Close the connections; one in use closes when its transaction ends."""
        with self._turn:
            self._is_closed = True
            idle, self._idle = self._idle, []
            if self._watching is not None:
                self._watching.close()
                self._watching = None
        for connection in idle:
            connection.close()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._turn:
            is_kept = not self._is_closed and len(self._idle) < _MAX_IDLE
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            connection.close()

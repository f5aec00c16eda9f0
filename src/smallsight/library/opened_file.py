"""Opens a library's file for reading, without SQLAlchemy, whose import takes longer than a search.

SQLite writes beside a file that it reads. On a read-only disk it is told that nobody changes the file.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

__all__ = ["is_unread_log", "open_for_reading"]


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the file read-only, without a transaction; usable from any thread, by one at a time.

    Raises sqlite3.OperationalError, also where the last changes are still in a log on a read-only disk.
    """
    connection = _opened(path, "mode=ro")
    if not _is_on_read_only_disk(path):
        return connection
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if is_unread_log(path):
            raise
        return _opened(path, "immutable=1")
    return connection


def is_unread_log(path: Path) -> bool:
    """Return whether a library on a read-only disk has changes in its log, which SQLite cannot read there."""
    log = path.with_name(f"{path.name}-wal")
    return _is_on_read_only_disk(path) and log.is_file() and log.stat().st_size > 0


def _opened(path: Path, options: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?{options}"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def _is_on_read_only_disk(path: Path) -> bool:
    if hasattr(os, "statvfs"):
        with suppress(OSError):
            return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    return False

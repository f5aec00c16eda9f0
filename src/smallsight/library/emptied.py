"""Tells a library's file that somebody emptied from one that is new."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from smallsight.errors import LibraryDamagedError
from smallsight.library.opened_file import open_for_reading

__all__ = ["refuse_emptied"]


def refuse_emptied(path: Path) -> None:
    """Raise LibraryDamagedError if the file at ``path`` is empty, and there are signs that it was not.

    Otherwise a new library would begin in it, silently, with all tags and descriptions gone.
    """
    log_file, thumbnails = path.with_name(f"{path.name}-wal"), path.with_name("thumbnails")
    if not path.is_file() or _has_tables(path):
        return
    has_log = log_file.is_file() and log_file.stat().st_size > 0
    if has_log or (thumbnails.is_dir() and any(thumbnails.iterdir())):
        raise LibraryDamagedError(
            f"The library's file is empty, and it was not before: {path}",
            hint="restore a backup (see the guide, `library backup`), or delete that file to begin again.",
        )


def _has_tables(path: Path) -> bool:
    if path.stat().st_size == 0:
        return False
    with closing(open_for_reading(path)) as connection:
        return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])

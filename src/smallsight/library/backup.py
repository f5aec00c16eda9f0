"""Copies of the library's file, made while it is in use; and checks of a copy and of the files it names."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from smallsight.errors import LibraryDamagedError, LibraryMissingError, StorageError
from smallsight.library.database import Database, storage_errors
from smallsight.library.emptied import refuse_emptied
from smallsight.library.opened_file import open_for_reading
from smallsight.library.thumbnails import thumbnail_path
from smallsight.machine.private_files import create_private_file

__all__ = ["FilesReport", "back_up", "check_copy", "check_files", "check_library"]

_MAX_PROBLEMS = 20
_SEARCH_TABLES = ("search_index", "term_trigram")


@dataclass(frozen=True, slots=True)
class FilesReport:
    """Which files that the library names are not there, by path."""

    pictures: tuple[str, ...]
    thumbnails: tuple[str, ...]


def back_up(path: Path, target: Path) -> int:
    """Write a consistent copy of the library at ``path`` to the new file ``target``; return its bytes.

    Others may write to the library meanwhile: the copy has the state at the start. Raises
    LibraryMissingError, LibraryDamagedError if the copy fails the checks, and StorageError.
    """
    if target.exists():
        raise StorageError(f"There is a file already: {target}", hint="choose another name, or delete it.")
    with _copied(path, target.with_name(f".{target.name}.{os.getpid()}"), target) as unfinished:
        if problems := check_copy(unfinished):
            raise LibraryDamagedError(
                f"The library was not backed up, because it is damaged: {problems[0]}.",
                hint="`smallsight library check` lists all problems.",
            )
        with storage_errors(target):
            with unfinished.open("rb") as written:
                os.fsync(written.fileno())
            os.link(unfinished, target)  # unlike renaming, it never replaces a file
            return target.stat().st_size


def check_library(path: Path) -> list[str]:
    """Return the problems of the library at ``path``, of a copy made for that beside it."""
    try:
        with _copied(path, path.with_name(f".check.{os.getpid()}.sqlite3"), path) as copy:
            return check_copy(copy)
    except LibraryDamagedError as error:
        if isinstance(error.__cause__, sqlite3.DatabaseError):  # too damaged for a copy
            return [f"integrity: {error.__cause__}"]
        raise


def check_copy(path: Path) -> list[str]:
    """Return what is wrong with a library's file that nobody else uses, as sentences; the first twenty."""
    problems: list[str] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        try:
            for (said,) in connection.execute(f"PRAGMA integrity_check({_MAX_PROBLEMS})"):
                if said != "ok":
                    problems.append(f"integrity: {said}")
            for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
                problems.append(f"row {row} of {table} names a row of {parent} that is not there")
            for table in _SEARCH_TABLES:
                with contextlib.suppress(sqlite3.OperationalError):  # a library before its first migration
                    problems += _search_problems(connection, table)
        except sqlite3.DatabaseError as error:
            problems.append(f"integrity: {error}")
    return problems[:_MAX_PROBLEMS]


def check_files(database: Database, thumbnails_dir: Path) -> FilesReport:
    """Return which pictures and thumbnails are not there, though the library has them."""
    with database.reading() as connection:
        pictures = connection.execute(
            sa.text(
                """SELECT folder.path, picture.path, content.sha256, content.format IS NOT NULL
                   FROM picture JOIN folder ON folder.id = folder_id
                   LEFT JOIN content ON content.id = content_id WHERE vanished_at_s IS NULL
                   ORDER BY folder.path, picture.path"""
            )
        ).all()
    gone = [str(Path(root, path)) for root, path, _, _ in pictures if not Path(root, path).exists()]
    known = sorted({sha256 for _, _, sha256, has_look in pictures if has_look})
    wanted = [thumbnail_path(thumbnails_dir, sha256) for sha256 in known]
    return FilesReport(tuple(gone), tuple(str(one) for one in wanted if not one.is_file()))


@contextmanager
def _copied(path: Path, unfinished: Path, named: Path) -> Iterator[Path]:
    """Yield a copy in one file, deleted at the end; ``named`` is the file that errors name."""
    if not path.is_file():
        raise LibraryMissingError(
            f"There is no library in {path.parent} yet.", hint="run `smallsight index FOLDER` to create one."
        )
    try:
        with storage_errors(named):
            refuse_emptied(path)
            create_private_file(unfinished)
            with closing(open_for_reading(path)) as source, closing(sqlite3.connect(unfinished)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        yield unfinished
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)


def _search_problems(connection: sqlite3.Connection, table: str) -> list[str]:
    """Return one sentence if a search index does not have exactly the words of its rows."""
    try:
        connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")  # noqa: S608
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return [f"{table} does not match the texts: {error}"]
    return []

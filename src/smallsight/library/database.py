"""The library's SQLite file: one connection of a process writes, many only read.

Owns opening, pragmas, transactions, migration, and the translation of SQLite's errors, but no queries.

Several processes may have a library open for writing. Each transaction holds ``WriteLock``, so that edits
take turns with an index run. A commit checkpoints the write-ahead log while the lock is held, and readers
open the file read-only: no two connections ever write or checkpoint at once. That avoids the bug in SQLite
3.7.0 to 3.51.2 in which a log that is reset while another connection checkpoints can corrupt the file.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from smallsight.errors import (
    LibraryBusyError,
    LibraryDamagedError,
    LibraryMissingError,
    SmallsightError,
    StorageError,
)
from smallsight.library.emptied import refuse_emptied
from smallsight.library.lock import RunLock, WriteLock
from smallsight.library.migrations import NEWEST
from smallsight.library.opened_file import is_unread_log
from smallsight.library.readers import BUSY_TIMEOUT_MS, Readers, connect_read_only
from smallsight.machine.private_files import create_private_file, make_private_folder

if TYPE_CHECKING:
    import sqlalchemy as sa

_TURN_TIMEOUT_S, _CLOSING_TIMEOUT_S = 30.0, 5.0
_SHARED_BYTES = 64 * 1024
_MAX_PATH_BYTES = 500  # SQLite's limit of 512 holds for the names of its log and shared file too


class Database:
    """An open library file. ``reading()`` may be used from any thread; ``writing()`` admits one at a time."""

    def __init__(self, path: Path, lock: WriteLock | None) -> None:
        self._lock = lock
        self._run_lock: RunLock | None = None
        self._is_closed = False
        self._writer = None if lock is None else _writer_engine(path)
        self._path = path
        self._readers = Readers(path)

    @classmethod
    def open_for_writing(cls, path: Path, *, for_run: bool = False) -> Self:
        """Open, create or migrate the library at path.

        With ``for_run``, which indexing and changes of folders need, no other process may do that meanwhile;
        edits by others are still stored. Raises LibraryBusyError, LibraryDamagedError or StorageError.
        """
        with storage_errors(path), ExitStack() as opened:
            make_private_folder(path.parent)
            if for_run:
                run_lock = RunLock(path.with_name("index.lock"))
                opened.callback(run_lock.release)
            lock = WriteLock(path.with_name("writer.lock"))
            opened.callback(lock.close)
            with lock.held(_TURN_TIMEOUT_S):
                refuse_emptied(path)
                create_private_file(path)  # SQLite gives its other files the same permissions
                database = cls(path, lock)
                opened.callback(database._dispose)
                database._migrate()
            if for_run:
                database._run_lock = run_lock
            opened.pop_all()
        return database

    @classmethod
    def open_for_reading(cls, path: Path) -> Self:
        """Open an existing library read-only.

        Raises LibraryMissingError if there is none; a library of an older version is migrated first.
        """
        require_library(path)
        with storage_errors(path):
            refuse_emptied(path)  # first: on opening, SQLite deletes the log of an empty file
            database = cls(path, None)
            try:
                with database.cursor() as cursor:
                    is_current = _revision(cursor) == NEWEST
            except BaseException:
                database.close()
                raise
        if not is_current:
            database.close()
            cls.open_for_writing(path).close()
            return cls.open_for_reading(path)
        return database

    def cursor(self) -> AbstractContextManager[sqlite3.Cursor]:
        """Return a read-only cursor of the driver, as a context manager, that sees one consistent state."""
        return self._readers.cursor()

    def version(self) -> int:
        """Return a number that changes with every commit, also of other processes."""
        return self._readers.version()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a read-only connection that sees one consistent state."""
        with self._reader_engine.connect() as connection, connection.begin():
            yield connection

    @cached_property
    def _reader_engine(self) -> sa.Engine:
        return _reader_engine(self._path)

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield the writing connection in a transaction: committed at the end, rolled back on an error."""
        if self._writer is None or self._lock is None:
            message = "This library was opened for reading only."
            raise RuntimeError(message)
        with (
            storage_errors(None),
            self._lock.held(_TURN_TIMEOUT_S),
            self._writer.begin() as connection,
        ):
            yield connection

    def _migrate(self) -> None:
        """Migrate the tables to this version's schema, each step in a separate transaction."""
        assert self._writer is not None  # noqa: S101 - for the type checker: only a writer migrates
        with self._writer.connect() as connection:
            current = _revision(raw_cursor(connection))
            connection.rollback()
            if current != NEWEST:
                from smallsight.library.migrations.upgrade import upgrade  # noqa: PLC0415 - see that module

                upgrade(connection, current)

    def check_integrity(self) -> None:
        """Run SQLite's integrity check; raises LibraryDamagedError with the first problem."""
        with self.cursor() as cursor:
            first = cursor.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if first != "ok":
            raise LibraryDamagedError(f"The library fails SQLite's integrity check: {first}.")

    def close(self) -> None:
        """Close every connection and release the locks; may be called again."""
        if self._lock is None or self._is_closed:
            self._dispose()
            return
        self._is_closed = True
        try:
            # The last connection that closes moves what is in the log into the file.
            with suppress(LibraryBusyError), self._lock.held(_CLOSING_TIMEOUT_S):
                self._dispose()
        finally:
            self._dispose()
            self._lock.close()
            if self._run_lock is not None:
                self._run_lock.release()

    def _dispose(self) -> None:
        self._readers.close()
        if "_reader_engine" in self.__dict__:
            self._reader_engine.dispose()
        if self._writer is not None:
            self._writer.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def raw_cursor(connection: sa.Connection) -> sqlite3.Cursor:
    """Return a cursor of the driver itself in the transaction of ``connection``."""
    driver: sqlite3.Connection = connection.connection.cursor().connection
    return driver.cursor()


def require_library(path: Path) -> None:
    """Raise LibraryMissingError if there is no library at path."""
    if not path.is_file():
        raise LibraryMissingError(
            f"There is no library in {path.parent} yet.",
            hint="run `smallsight index FOLDER` to create one.",
        )


def _writer_engine(path: Path) -> sa.Engine:
    import sqlalchemy as sa  # noqa: PLC0415 - see readers
    from sqlalchemy.pool import StaticPool  # noqa: PLC0415

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path.absolute(), isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA mmap_size = 0")
        connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=StaticPool)
    sa.event.listen(engine, "begin", _begin_immediate)
    return engine


def _reader_engine(path: Path) -> sa.Engine:
    import sqlalchemy as sa  # noqa: PLC0415
    from sqlalchemy.pool import QueuePool  # noqa: PLC0415

    engine = sa.create_engine(
        "sqlite://",
        creator=lambda: connect_read_only(path),
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=12,
    )
    sa.event.listen(engine, "begin", _begin_deferred)
    return engine


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _revision(cursor: sqlite3.Cursor) -> str | None:
    named = cursor.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    if not named[0]:
        return None
    row = cursor.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


@contextmanager
def storage_errors(path: Path | None) -> Iterator[None]:
    """Translate errors of SQLite and the disk into Smallsight's, with a hint."""
    where = "the library" if path is None else f"the library in {path.parent}"
    try:
        yield
    except SmallsightError:
        raise
    except sqlite3.Error as error:
        raise _from_sqlite(error, where, path) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _disk_full(where) from error
        raise StorageError(
            f"Cannot write to {where}: {error.strerror}.",
            hint="give this user write permission, or set SMALLSIGHT_HOME to another folder.",
        ) from error
    except Exception as error:
        cause = getattr(error, "orig", None)  # SQLAlchemy's, which may not be imported
        if isinstance(cause, sqlite3.Error):
            raise _from_sqlite(cause, where, path) from error
        raise


def _disk_full(where: str) -> StorageError:
    """Return the error for a full disk; where completes "writing to ..."."""
    return StorageError(
        f"The disk is full: writing to {where} failed.",
        hint="free some space and run the same command again; what was finished is kept.",
    )


def _is_full(path: Path) -> bool:
    """Return whether there is no room for the file that SQLite shares between its readers."""
    with suppress(OSError):
        return shutil.disk_usage(path.parent).free < _SHARED_BYTES
    return False


def _from_sqlite(error: Any, where: str, path: Path | None) -> SmallsightError:  # noqa: ANN401 - see SQLAlchemy
    text = str(error)
    if "disk is full" in text or ("disk I/O error" in text and path is not None and _is_full(path)):
        return _disk_full(where)
    if "malformed" in text or "not a database" in text:
        return LibraryDamagedError(
            f"The database of {where} is damaged: {text}.",
            hint="restore a backup (see the guide, `library backup`), or move the file away and index again; "
            "your pictures are not affected.",
        )
    if "disk I/O error" in text:
        return StorageError(
            f"The disk with the database of {where} reported an error: {text}.",
            hint="check the disk, and run the same command again; what was finished is kept.",
        )
    if "unable to open" in text and path is not None and len(os.fsencode(path.absolute())) > _MAX_PATH_BYTES:
        return StorageError(
            f"The path of {where} is too long for SQLite (limit {_MAX_PATH_BYTES} bytes).",
            hint="set SMALLSIGHT_HOME to a folder with a shorter path.",
        )
    if "unable to open" in text and path is not None and is_unread_log(path):
        return StorageError(
            f"The disk with {where} is read-only, and the last changes are not in the database yet.",
            hint="copy the folder to another disk, and set SMALLSIGHT_HOME to the copy.",
        )
    if "readonly" in text or "unable to open" in text:
        return StorageError(
            f"The database of {where} cannot be written: {text}.",
            hint="check the folder's permissions, or set SMALLSIGHT_HOME to another folder.",
        )
    return LibraryDamagedError(f"The database of {where} reported an error: {text}.")

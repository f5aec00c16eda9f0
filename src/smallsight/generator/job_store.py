"""Stores jobs and their callbacks in one SQLite file; every change of a job commits its callbacks with it.

The table ``jobs`` is the original's, so that its file can be taken over and its tools can read ours.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsight.errors import SettingsError, StorageError, TooManyRequestsError
from smallsight.generator.callback import Callback, CallbackMessage, JobStatus, status_message
from smallsight.generator.job import JobRequest, QueuedJob
from smallsight.library.lock import try_lock
from smallsight.machine.private_files import create_private_file, make_private_folder

__all__ = ["JobStore", "Undelivered", "read_undelivered"]

_BUSY_S = 30.0
_MAX_UNDELIVERED = 1000  # the newest; older ones are forgotten
_JOBS = (
    "SELECT id, image_core_id, image_path, model, coalesce(retry_count, 0), attempt_id, callback_token "
    "FROM jobs "
)
_FIRSTS = "WHERE id IN (SELECT min(id) FROM callbacks GROUP BY image_core_id) ORDER BY id LIMIT ?"
_CALLBACKS = "SELECT id, image_core_id, receiver, body, created_s, num_tries FROM callbacks "
_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, image_core_id INTEGER, image_path TEXT NOT NULL,
    model TEXT NOT NULL, retry_count INTEGER DEFAULT 0, attempt_id INTEGER, callback_token TEXT
);
CREATE TABLE IF NOT EXISTS callbacks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, image_core_id INTEGER NOT NULL, receiver TEXT NOT NULL,
    body TEXT NOT NULL, created_s REAL NOT NULL, num_tries INTEGER NOT NULL DEFAULT 0, why TEXT
);
CREATE TABLE IF NOT EXISTS undelivered (
    id INTEGER PRIMARY KEY, image_core_id INTEGER NOT NULL, receiver TEXT NOT NULL, body TEXT NOT NULL,
    created_s REAL NOT NULL, num_tries INTEGER NOT NULL, why TEXT NOT NULL, ended_s REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS callbacks_of_picture ON callbacks (image_core_id, id);
CREATE INDEX IF NOT EXISTS jobs_of_picture ON jobs (image_core_id);
"""
_ADDED = {"retry_count": "INTEGER DEFAULT 0", "attempt_id": "INTEGER", "callback_token": "TEXT"}


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A callback that the application has not accepted; ``ended_s`` is None while it is still repeated."""

    image_core_id: int
    attempt_id: int | None
    receiver: str
    status: int | None
    num_tries: int
    why: str
    created_s: float
    ended_s: float | None


class JobStore:
    """The file of the jobs. Not thread-safe: one thread at a time. Close it at the end."""

    def __init__(self, path: Path, *, max_jobs: int) -> None:
        """Open or create the file; raises SettingsError if it cannot be used or another process uses it."""
        self._max_jobs = max_jobs
        self._lock: int | None = None
        try:
            make_private_folder(path.parent)
            create_private_file(path)
            self._lock = _lock(path)
            self._connection = _connect(path)
            self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _TABLES)
            self._add_columns()
        except (OSError, sqlite3.Error) as error:
            self._unlock()
            raise SettingsError(
                f"The file of the jobs cannot be used: {path}: {error}.", hint="choose another --database."
            ) from error

    def close(self) -> None:
        """Close the file, and let another process use it."""
        self._connection.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def add(self, request: JobRequest) -> tuple[QueuedJob, int]:
        """Store a job and its status 1; return it and the callback's id. Raises TooManyRequestsError."""
        with self._changing() as connection:
            if self._num_jobs() >= self._max_jobs:
                raise TooManyRequestsError(
                    f"Too many jobs wait (limit {self._max_jobs}).", hint="try again later.", retry_after_s=60
                )
            job_id = connection.execute(
                "INSERT INTO jobs (image_core_id, image_path, model, attempt_id, callback_token) "
                "VALUES (?, ?, ?, ?, ?)",
                (
                    request.image_core_id,
                    request.image_path,
                    request.model,
                    request.attempt_id,
                    request.callback_token,
                ),
            ).lastrowid
            job = QueuedJob(
                job_id or 0,
                request.image_core_id,
                request.image_path,
                request.model,
                0,
                request.attempt_id,
                request.callback_token,
            )
            return job, self._insert(job, status_message(job, JobStatus.IN_QUEUE))

    def num_jobs(self) -> int:
        """Return how many jobs wait or are in progress."""
        with self._reading():
            return self._num_jobs()

    def oldest(self, limit: int) -> list[QueuedJob]:
        """Return the oldest jobs, the ones in progress included."""
        with self._reading() as connection:
            rows = connection.execute(_JOBS + "ORDER BY id LIMIT ?", (limit,))
            return [QueuedJob(*row) for row in rows]

    def add_messages(self, job: QueuedJob, messages: Sequence[CallbackMessage], *, is_done: bool) -> bool:
        """Store messages about a job, and remove it if it is done; False if it has been removed before."""
        with self._changing() as connection:
            if is_done:
                found = connection.execute("DELETE FROM jobs WHERE id = ?", (job.id,)).rowcount > 0
            else:
                found = (
                    connection.execute("SELECT 1 FROM jobs WHERE id = ?", (job.id,)).fetchone() is not None
                )
            if found:
                for message in messages:
                    self._insert(job, message)
            return found

    def count_retry(self, job: QueuedJob) -> int | None:
        """Count a failed try and return how many there are now; None if the job has been removed."""
        with self._changing() as connection:
            row = connection.execute(
                "UPDATE jobs SET retry_count = coalesce(retry_count, 0) + 1 WHERE id = ? "
                "RETURNING retry_count",
                (job.id,),
            ).fetchone()
            return None if row is None else int(row[0])

    def remove(self, image_core_id: int) -> tuple[list[QueuedJob], int | None]:
        """Remove the jobs of a picture; return them and the id of the one callback with status 0.

        It has the token of the newest attempt, the only one that the application still takes notice of.
        """
        with self._changing() as connection:
            rows = connection.execute(_JOBS + "WHERE image_core_id = ? ORDER BY id", (image_core_id,))
            jobs = [QueuedJob(*row) for row in rows]
            if not jobs:
                return [], None
            connection.execute("DELETE FROM jobs WHERE image_core_id = ?", (image_core_id,))
            return jobs, self._insert(jobs[-1], status_message(jobs[-1], JobStatus.NOT_STARTED))

    def first_callbacks(self, limit: int) -> list[Callback]:
        """Return the first callback of each picture that has some, the oldest first."""
        with self._reading() as connection:
            rows = connection.execute(_CALLBACKS + _FIRSTS, (limit,))
            return [Callback(*row) for row in rows]

    def accept(self, callback: Callback) -> Callback | None:
        """Remove a callback that has been accepted, and return the picture's next one."""
        with self._changing() as connection:
            connection.execute("DELETE FROM callbacks WHERE id = ?", (callback.id,))
            return self._first_of(callback.image_core_id)

    def count_failure(self, callback: Callback, why: str) -> Callback:
        """Count a failed try of a callback."""
        with self._changing() as connection:
            connection.execute(
                "UPDATE callbacks SET num_tries = num_tries + 1, why = ? WHERE id = ?", (why, callback.id)
            )
        return Callback(
            callback.id,
            callback.image_core_id,
            callback.receiver,
            callback.body,
            callback.created_s,
            callback.num_tries + 1,
        )

    def abandon(self, callback: Callback, why: str) -> Callback | None:
        """List a callback as undelivered, and return the picture's next one."""
        with self._changing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO undelivered SELECT id, image_core_id, receiver, body, created_s, "
                "num_tries, ?, ? FROM callbacks WHERE id = ?",
                (why, time.time(), callback.id),
            )
            connection.execute(
                "DELETE FROM undelivered WHERE id NOT IN "
                "(SELECT id FROM undelivered ORDER BY id DESC LIMIT ?)",
                (_MAX_UNDELIVERED,),
            )
            connection.execute("DELETE FROM callbacks WHERE id = ?", (callback.id,))
            return self._first_of(callback.image_core_id)

    def undelivered(self) -> list[Undelivered]:
        """Return the callbacks that failed, the ones still repeated included."""
        with self._reading() as connection:
            return _undelivered(connection)

    def _num_jobs(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM jobs").fetchone()[0])

    def _insert(self, job: QueuedJob, message: CallbackMessage) -> int:
        return (
            self._connection.execute(
                "INSERT INTO callbacks (image_core_id, receiver, body, created_s) VALUES (?, ?, ?, ?)",
                (job.image_core_id, message.receiver, message.body, time.time()),
            ).lastrowid
            or 0
        )

    def _first_of(self, image_core_id: int) -> Callback | None:
        row = self._connection.execute(
            _CALLBACKS + "WHERE image_core_id = ? ORDER BY id LIMIT 1",
            (image_core_id,),
        ).fetchone()
        return None if row is None else Callback(*row)

    def _add_columns(self) -> None:
        """Add the columns that a file of an older version lacks."""
        known = {row[1] for row in self._connection.execute("PRAGMA table_info(jobs)")}
        for name, kind in _ADDED.items():
            if name not in known:
                self._connection.execute(f"ALTER TABLE jobs ADD COLUMN {name} {kind}")

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Commit everything in the block, or nothing; raises StorageError."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _storage_error(error) from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise _storage_error(error) from error


def read_undelivered(path: Path) -> list[Undelivered]:
    """Return the callbacks that failed, from the file, also while a server uses it; raises SettingsError."""
    if not path.is_file():
        return []
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)
        try:
            return _undelivered(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise SettingsError(f"The file of the jobs cannot be read: {path}: {error}.") from error


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)


def _lock(path: Path) -> int:
    """Return a locked file beside this one; raises SettingsError if another process has locked it."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    if not try_lock(descriptor):
        os.close(descriptor)
        raise SettingsError(
            f"Another generator uses {path}.", hint="stop it, or choose another --database for this one."
        )
    return descriptor


def _undelivered(connection: sqlite3.Connection) -> list[Undelivered]:
    rows = connection.execute(
        "SELECT image_core_id, receiver, body, num_tries, why, created_s, ended_s FROM undelivered UNION ALL "
        "SELECT image_core_id, receiver, body, num_tries, why, created_s, NULL FROM callbacks "
        "WHERE num_tries > 0 ORDER BY created_s DESC LIMIT ?",
        (_MAX_UNDELIVERED,),
    )
    return [_undelivered_of(row) for row in rows]


def _undelivered_of(row: Sequence[Any]) -> Undelivered:
    image_core_id, receiver, body, num_tries, why, created_s, ended_s = row
    sent = json.loads(body)["data"]
    return Undelivered(
        image_core_id,
        sent.get("attempt_id"),
        receiver,
        sent.get("status"),
        num_tries,
        why or "",
        created_s,
        ended_s,
    )


def _storage_error(error: sqlite3.Error) -> StorageError:
    return StorageError(f"The file of the jobs cannot be used: {error}.", hint="is the disk full?")

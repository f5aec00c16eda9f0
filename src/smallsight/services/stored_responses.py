"""Responses that clients may read again and continue, in ``responses.sqlite3`` in the data folder.

Owns the thread and the file. No failure of the disk reaches an answer: it is logged, and what could not be
stored or read is not found later. A damaged file is replaced by an empty one.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from smallsight.http.repeated_line import RepeatedLine
from smallsight.machine.private_files import create_private_file
from smallsight.policy.log import get_logger
from smallsight.services.response_tables import ResponseTables, StoredItem, StoredResponse, StoreLimits
from smallsight.settings import Settings

log = get_logger(__name__)

_Found = TypeVar("_Found")
_PATIENCE_S = 20.0  # with a disk that does not answer
_DAY_S = 86_400
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FAILURES = (sqlite3.Error, OSError, ValueError, KeyError, TypeError)  # the last three: rows that are damaged


class StoredResponses:
    """The store of one server. Belongs to the event loop; reads and writes in a thread, one by one."""

    def __init__(self, settings: Settings) -> None:
        server = settings.server
        self._path = settings.home / "responses.sqlite3"
        self._limits = StoreLimits(
            max_responses=server.stored_responses,
            max_bytes=server.stored_response_bytes,
            max_age_s=server.stored_response_days * _DAY_S,
            max_read_bytes=server.max_body_bytes,
        )
        self._tables: ResponseTables | None = None
        self._file: tuple[int, int] | None = None
        self._failed = RepeatedLine("stored_responses_failed")
        self._thread = ThreadPoolExecutor(1, "smallsight-responses")
        if not self._is_on:
            self._thread.submit(self._remove)

    async def keep(self, one: StoredResponse) -> bool:
        """Store a response; return whether it is stored."""
        return await self._run(lambda tables: tables.keep(one, time.time()), otherwise=False)

    async def find(self, owner: str, response_id: str) -> StoredResponse | None:
        """Return one response, or None; raises RequestTooLargeError."""
        return await self._run(lambda tables: tables.find(owner, response_id, time.time()), otherwise=None)

    async def conversation(self, owner: str, response_id: str) -> list[StoredItem] | None:
        """Return all items up to a response, oldest first; None if any is missing.

        Raises RequestTooLargeError.
        """
        return await self._run(
            lambda tables: tables.conversation(owner, response_id, time.time()), otherwise=None
        )

    async def items(self, owner: str, ids: Sequence[str]) -> dict[str, StoredItem]:
        """Return the items with these ids that are stored; raises RequestTooLargeError."""
        return await self._run(lambda tables: tables.items(owner, ids, time.time()), otherwise={})

    async def forget(self, owner: str, response_id: str) -> bool:
        """Delete one response; False if there is none."""
        return await self._run(lambda tables: tables.forget(owner, response_id), otherwise=False)

    def close(self) -> None:
        """Close the file and stop the thread."""
        self._thread.submit(self._close)
        self._thread.shutdown(wait=True)

    @property
    def _is_on(self) -> bool:
        return min(self._limits.max_responses, self._limits.max_bytes) > 0

    async def _run(self, work: Callable[[ResponseTables], _Found], *, otherwise: _Found) -> _Found:
        """Do work in the thread; a failure is logged, and ``otherwise`` is returned."""
        if not self._is_on:
            return otherwise
        working = asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)
        working.add_done_callback(_retrieve)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await asyncio.shield(working)
        except _FAILURES as error:
            self._failed.write("", why=str(error) or type(error).__name__, path=str(self._path))
            return otherwise

    def _work(self, work: Callable[[ResponseTables], _Found]) -> _Found:
        try:
            return work(self._opened())
        except _FAILURES as error:
            self._close()
            if not _is_damage(error):
                raise
            log.error("stored_responses_damaged", why=str(error), path=str(self._path))
        self._remove()
        return work(self._opened())

    def _opened(self) -> ResponseTables:
        if self._tables is not None and self._file == _identity(self._path):
            return self._tables
        self._close()  # the file has been removed or replaced
        create_private_file(self._path)
        self._tables = ResponseTables(self._path, self._limits)
        self._file = _identity(self._path)
        return self._tables

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            for suffix in ("", "-journal"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _close(self) -> None:
        tables, self._tables = self._tables, None
        if tables is not None:
            with contextlib.suppress(sqlite3.Error):
                tables.close()


def _retrieve(working: asyncio.Future[_Found]) -> None:
    """Look at the outcome: asyncio complains of errors that nobody has seen."""
    if not working.cancelled():
        working.exception()


def _is_damage(error: Exception) -> bool:
    """Return whether a file can only be replaced: it is damaged, or of another version."""
    if isinstance(error, sqlite3.NotSupportedError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED  # the rest of an extended code says where


def _identity(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        status = path.stat()
        return status.st_dev, status.st_ino
    return None

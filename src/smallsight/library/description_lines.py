"""A file of descriptions, one JSON object a line, that an interrupted run can continue.

A line is appended with one write. The beginning of a line that a kill or a full disk left at the end is
removed when the file is opened again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from smallsight.errors import ArgumentError, LibraryBusyError, StorageError
from smallsight.library.lock import try_lock

__all__ = ["DescriptionLines"]

_BEGIN = b'{"path": '  # of every line
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class DescriptionLines:
    """The open file; close it, or use it in ``with``.

    ``request`` is everything that determines an answer but the picture. A line is known again if it has the
    same request. With ``retries_failed`` its lines with errors are removed from the file first. With
    ``by_content`` a picture is known by its bytes alone, whatever its path.

    Raises ArgumentError for a file of something else, which stays as it is, LibraryBusyError while another
    process writes to it, and StorageError.
    """

    def __init__(
        self,
        path: Path,
        request: Mapping[str, Any],
        *,
        retries_failed: bool = False,
        by_content: bool = False,
        written_by: str = "describe --jsonl",
    ) -> None:
        self._path = path
        self._request = dict(request)
        self._by_content = by_content
        self._written_by = written_by
        self._known: dict[bytes, int] = {}  # where its line begins
        with _storage_errors(path):
            self._descriptor: int | None = os.open(path, _FLAGS, 0o666)
        try:
            with _storage_errors(path):
                self._check_and_lock()
                num_failed = self._read()
                if retries_failed and num_failed:
                    self._remove_failed()
                    self._read()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and release its lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holds(self, path: str, sha256: str | None) -> bool:
        """Return whether there is a line for this picture and request."""
        return self._key(path, sha256) in self._known

    def find(self, path: str, sha256: str | None) -> dict[str, Any] | None:
        """Return the line for this picture and request, or None. Raises StorageError if it has changed."""
        begin = self._known.get(self._key(path, sha256))
        if begin is None:
            return None
        with _storage_errors(self._path), os.fdopen(os.dup(self._opened()), "rb") as file:
            file.seek(begin)
            row = _parse(file.readline())
        if row is None:
            raise StorageError(
                f"Another program has changed this file: {self._path}", hint="run the same command again."
            )
        return row

    def append(self, row: Mapping[str, Any]) -> None:
        """Write a line; its first key is "path". Raises StorageError, and leaves no part of the line."""
        line = (json.dumps({**row, "request": self._request}) + "\n").encode()
        descriptor = self._opened()
        size_bytes = os.fstat(descriptor).st_size
        with _storage_errors(self._path):
            try:
                _write_all(descriptor, line)
            except OSError:
                os.ftruncate(descriptor, size_bytes)
                raise
        self._known[self._key(row["path"], row["sha256"])] = size_bytes

    def _opened(self) -> int:
        if self._descriptor is None:
            message = "The file of descriptions is closed."
            raise RuntimeError(message)
        return self._descriptor

    def _check_and_lock(self) -> None:
        descriptor = self._opened()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ArgumentError(f"Not a regular file: {self._path}", hint="omit --out to print the lines.")
        os.lseek(descriptor, 0, os.SEEK_SET)
        if not _may_begin(os.read(descriptor, len(_BEGIN))):
            raise self._foreign(1)
        if not try_lock(descriptor) or not _is_still_at(self._path, descriptor):
            raise LibraryBusyError(
                f"Another process writes to this file: {self._path}", hint="wait until it is done."
            )

    def _read(self) -> int:
        """Learn which pictures are known, repair the end, and return the number of known errors."""
        self._known.clear()
        num_failed = end_bytes = 0
        is_whole = True
        for number, line in enumerate(self._lines(), start=1):
            row = _parse(line)
            is_whole = line.endswith(b"\n")
            if row is None:
                if is_whole or not _may_begin(line):
                    raise self._foreign(number)
                os.ftruncate(self._opened(), end_bytes)
                return num_failed
            if row.get("request") == self._request:
                self._known[self._key(row["path"], row.get("sha256"))] = end_bytes
                num_failed += row.get("error") is not None
            end_bytes += len(line)
        if not is_whole:
            _write_all(self._opened(), b"\n")
        return num_failed

    def _remove_failed(self) -> None:
        """Replace the file by one without the errors of this request."""
        path = self._path.resolve()
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        kept = os.open(unfinished, _FLAGS | os.O_EXCL, stat.S_IMODE(os.fstat(self._opened()).st_mode))
        try:
            for line in self._lines():
                row = _parse(line)
                if row is None or not row.get("error") or row.get("request") != self._request:
                    _write_all(kept, line)
            os.fsync(kept)
            try_lock(kept)  # nobody else has it open
            unfinished.replace(path)
        except BaseException:
            os.close(kept)
            unfinished.unlink(missing_ok=True)
            raise
        os.close(self._opened())
        self._descriptor = kept

    def _lines(self) -> Iterator[bytes]:
        with os.fdopen(os.dup(self._opened()), "rb") as file:
            file.seek(0)
            yield from file

    def _foreign(self, number: int) -> ArgumentError:
        return ArgumentError(
            f"This file is not from `{self._written_by}`: {self._path}, line {number}",
            hint="choose another file, or repair that line.",
        )

    def _key(self, path: str, sha256: str | None) -> bytes:
        named = f"{'' if self._by_content else path}\0{sha256 or ''}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(named, digest_size=16).digest()


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageError(
                f"The disk is full: writing to {path} failed.",
                hint="free some space and run the same command again; what was finished is kept.",
            ) from error
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}.", hint="choose another path."
        ) from error


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return a line's object, or None for something else or a part of one."""
    if not line.startswith(_BEGIN):
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and isinstance(row.get("path"), str) else None


def _may_begin(part: bytes) -> bool:
    """Return whether a line may begin like this; after a power cut, blocks of zeros may follow."""
    written = part.rstrip(b"\0")
    return written.startswith(_BEGIN) or _BEGIN.startswith(written)


def _is_still_at(path: Path, descriptor: int) -> bool:
    """Return whether the file was not replaced between opening and locking it."""
    there, here = path.stat(), os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

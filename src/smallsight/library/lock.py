"""File locks, such as those on a data folder: one index run at a time, and one process that writes.

The operating system releases a lock when the process that holds it ends, for whatever reason.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smallsight.errors import LibraryBusyError

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.001, 0.01

if sys.platform == "win32":  # pragma: no cover - not run on the machines that measure coverage
    import msvcrt

    _PLACE = 1024  # past the holder's process id, so that others can read it

    def _try_lock(descriptor: int) -> None:
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; return False if another process holds its lock."""
    try:
        _try_lock(descriptor)
    except OSError:
        return False
    return True


class RunLock:
    """The lock of a process that indexes a library, or changes its folders; not re-entrant."""

    def __init__(self, path: Path) -> None:
        """Take the lock without waiting; raises LibraryBusyError with the process that holds it."""
        descriptor = _open(path)
        try:
            _try_lock(descriptor)
        except OSError as error:
            holder = (
                os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() if hasattr(os, "pread") else ""
            )
            os.close(descriptor)
            who = f"process {holder}" if holder else "another process"
            raise LibraryBusyError(
                f"The library in {path.parent} is being indexed by {who}.",
                hint="wait until it is done, or stop it with Ctrl-C; nothing it has finished is lost.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Release the lock; may be called again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class WriteLock:
    """The lock of a process while it writes to a library; threads of one process take turns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = _open(path)
        self._turn = threading.Lock()

    @contextmanager
    def held(self, timeout_s: float) -> Iterator[None]:
        """Hold the lock inside the block; raises LibraryBusyError if it is not free in time."""
        with self._turn:
            self._wait(time.monotonic() + timeout_s)
            try:
                yield
            finally:
                _unlock(self._descriptor)

    def _wait(self, until_s: float) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                _try_lock(self._descriptor)
            except OSError as error:
                if time.monotonic() >= until_s:
                    raise LibraryBusyError(
                        f"Another process writes to the library in {self._path.parent} for too long.",
                        hint="wait until it is done, and run the same command again.",
                    ) from error
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            else:
                return

    def close(self) -> None:
        """Close the lock's file; call it once."""
        os.close(self._descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)

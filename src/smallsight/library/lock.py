"""The exclusive lock on a data folder: at most one process writes to a library.

The operating system releases the lock when the process that holds it ends, for whatever reason.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from smallsight.errors import LibraryBusyError

if sys.platform == "win32":  # pragma: no cover - not run on the machines that measure coverage
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        os.lseek(descriptor, 1024, os.SEEK_SET)  # past the holder's process id, so that others can read it
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class WriterLock:
    """A lock on one file, held from ``acquire`` to ``release``; not re-entrant."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> Self:
        """Take the lock without waiting; raises LibraryBusyError with the process that holds it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _try_lock(descriptor)
        except OSError as error:
            holder = (
                os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() if hasattr(os, "pread") else ""
            )
            os.close(descriptor)
            who = f"process {holder}" if holder else "another process"
            raise LibraryBusyError(
                f"The library in {self._path.parent} is being written to by {who}.",
                hint="wait until it is done, or stop it with Ctrl-C; nothing it has finished is lost.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        """Release the lock; does nothing if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

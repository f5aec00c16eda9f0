"""Small JSON state files in the data folder, read and replaced as a whole.

A reader sees the old file or the new one, never a partial one. A program that changes what it has read does
both inside ``locked_state``, so that no other program's change is lost.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smallsight.errors import SettingsError, StorageError
from smallsight.machine.private_files import make_private_folder

if sys.platform == "win32":  # pragma: no cover - not run on the machines that measure coverage
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
_CANNOT_LOCK = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)  # of the file system: some network shares
_LOCK_WAIT_S = 10.0
_LOCK_PAUSE_S = 0.01


@contextlib.contextmanager
def locked_state(path: Path, *, wait_s: float = _LOCK_WAIT_S) -> Iterator[None]:
    """Keep other programs and threads from changing the file while the block reads and replaces it.

    The lock is on a file beside it, which stays: the state file itself is replaced. Raises StorageError when
    another program holds it for longer than ``wait_s``.
    """
    try:
        make_private_folder(path.parent)
        lock = os.open(path.with_name(f".{path.name}.lock"), _LOCK_FLAGS, 0o600)
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        deadline_s = time.monotonic() + wait_s
        while True:
            try:
                _try_lock(lock)
                break
            except OSError as error:
                if error.errno in _CANNOT_LOCK:
                    break
                if time.monotonic() > deadline_s:
                    raise StorageError(
                        f"{path} is being changed by another program.", hint="try again when it is done."
                    ) from error
                time.sleep(_LOCK_PAUSE_S)
        yield
    finally:
        os.close(lock)


def read_state(path: Path) -> dict[str, Any]:
    """Return the file's object, empty if there is no file; raises SettingsError if it is damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(data, dict):
        raise _damaged(path, "it does not hold an object")
    return data


def write_state(path: Path, data: dict[str, Any]) -> None:
    """Replace the file by one that holds ``data``, atomically; raises StorageError."""
    try:
        make_private_folder(path.parent)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(data, stream, indent=2, sort_keys=True)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _not_written(path, error) from error


def _sync_folder(folder: Path) -> None:
    """Write the folder's entry to disk too, so that the replacement survives a power failure."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_written(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} could not be written: {error.strerror or error}.",
        hint="free some disk space or give this user write permission, then try again.",
    )


def _damaged(path: Path, why: str) -> SettingsError:
    return SettingsError(
        f"{path} cannot be read: {why}.", hint="fix or delete it; it is recreated when needed."
    )

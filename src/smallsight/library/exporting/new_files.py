"""Writes files so that no half of one is ever seen: into a file beside it, which then takes its name."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from smallsight.errors import StorageError

__all__ = ["replace_file", "unfinished_file", "write_error"]

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def unfinished_file(path: Path, *, is_only_writer: bool = False) -> Iterator[Path]:
    """Yield the path of an empty file that replaces ``path`` at the end of the block, or is deleted.

    An existing file's permissions are kept. With ``is_only_writer`` no other process writes to this path, and
    what one that was killed has left is deleted first. Raises StorageError.
    """
    suffix = (
        hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12] if is_only_writer else secrets.token_hex(6)
    )
    unfinished = path.with_name(f".smallsight-{suffix}")
    try:
        if is_only_writer:
            unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, _FLAGS, 0o666))
        with suppress(FileNotFoundError):
            unfinished.chmod(stat.S_IMODE(path.stat().st_mode))
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def replace_file(path: Path, data: bytes) -> None:
    """Create or replace a file; raises StorageError, and leaves what was there."""
    with unfinished_file(path) as unfinished:
        unfinished.write_bytes(data)


def write_error(path: Path, error: OSError) -> StorageError:
    """Return the error for a file that cannot be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageError(f"The disk is full: {path} was not written.", hint="free some space.")
    return StorageError(
        f"{path} cannot be written: {error.strerror or error}.",
        hint="check the permissions of its folder, or choose another one with --out.",
    )

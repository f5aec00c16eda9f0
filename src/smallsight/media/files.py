"""Reads a picture's bytes from disk: regular files only, bounded while reading, never blocking."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from smallsight.errors import PictureNotFoundError, PictureTooLargeError
from smallsight.settings import Limits

__all__ = ["open_regular_file", "read_open_file", "read_picture_file"]

# Windows has no FIFOs to block on, but needs a flag to read bytes unchanged.
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link"}
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_SMALLEST_READ_BYTES = 65_536


def read_picture_file(path: Path, limits: Limits, *, inside: Path | None = None) -> bytes:
    """Return the whole content of a regular file; symbolic links to one are followed.

    ``inside`` is a folder above it: between the two no link is followed, not even one that somebody puts
    there at this moment (not on Windows, which has no such way to open a file).

    Raises PictureNotFoundError when there is no such regular file or it cannot be read, and
    PictureTooLargeError above ``limits.max_file_bytes``, counted while reading, because a file may grow.
    """
    with open_regular_file(path, inside=inside) as file:
        return read_open_file(file, path, limits)


def read_open_file(file: BinaryIO, path: Path, limits: Limits) -> bytes:
    """Return the content of a file that has just been opened; raises as ``read_picture_file``."""
    with _naming_errors(path):
        size_bytes = os.fstat(file.fileno()).st_size
        return _read_capped(file.fileno(), path, size_bytes, limits.max_file_bytes)


def open_regular_file(path: Path, *, inside: Path | None = None) -> BinaryIO:
    """Open a regular file for reading, as ``read_picture_file`` does; raises PictureNotFoundError."""
    with _naming_errors(path):
        if inside is None or os.open not in os.supports_dir_fd:
            descriptor = _open_regular(path, str(path))
        else:
            descriptor = _open_inside(path, inside)
        try:
            _require_regular(path, os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return os.fdopen(descriptor, "rb")


@contextmanager
def _naming_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise PictureNotFoundError(f"There is no such file: {path}", hint="check the path.") from error
    except PermissionError as error:
        raise PictureNotFoundError(
            f"No permission to read this file: {path}", hint="check its permissions and those of its folder."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise PictureNotFoundError(f"This file cannot be read ({reason}): {path!s}") from error


def _open_regular(path: Path, name: str, folder: int | None = None) -> int:
    """Open a file, below an open folder without following a link; ``path`` is for messages."""
    # Checked before opening, because opening a device can have side effects.
    _require_regular(path, os.stat(name, dir_fd=folder, follow_symlinks=folder is None))
    return os.open(name, _OPEN_FLAGS | (0 if folder is None else os.O_NOFOLLOW), dir_fd=folder)


def _open_inside(path: Path, folder: Path) -> int:
    """Open a file by one open folder after the other, so that each name is looked up once."""
    *below, name = path.relative_to(folder).parts
    opened = os.open(folder, _FOLDER_FLAGS)
    try:
        for one in below:
            inner = os.open(one, _FOLDER_FLAGS | os.O_NOFOLLOW, dir_fd=opened)
            os.close(opened)
            opened = inner
        return _open_regular(path, name, opened)
    finally:
        os.close(opened)


def _require_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "a device, pipe or socket")
    raise PictureNotFoundError(f"This is {kind}, not a file: {path}", hint="give a picture file.")


def _read_capped(descriptor: int, path: Path, announced_bytes: int, max_bytes: int) -> bytes:
    num_bytes = 0
    chunks: list[bytes] = []
    while max(num_bytes, announced_bytes) <= max_bytes:
        # One byte more than announced, so that a typical file takes one read and one that finds the end.
        wanted = max(announced_bytes + 1, _SMALLEST_READ_BYTES) if not chunks else _SMALLEST_READ_BYTES
        chunk = os.read(descriptor, min(wanted, max_bytes + 1))
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        num_bytes += len(chunk)
    raise PictureTooLargeError(
        f"File is too large: at least {max(num_bytes, announced_bytes)} bytes (limit {max_bytes}): {path}",
        hint="raise limits.max_file_bytes or make the file smaller.",
    )

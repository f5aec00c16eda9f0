"""Reads the text files of checkpoints, which come from strangers: regular files only, of bounded size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from smallsight.errors import BrokenCheckpointError

MAX_TEXT_BYTES = 50_000_000
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def read_checkpoint_text(path: Path) -> str:
    """Return a file's text; raises FileNotFoundError, and BrokenCheckpointError for whatever else is wrong.

    A pipe or device is refused before it is read: it would block for ever.
    """
    try:
        require_regular_file(path)
        with os.fdopen(os.open(path, _FLAGS), "rb") as file:
            data = file.read(MAX_TEXT_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BrokenCheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_TEXT_BYTES:
        raise BrokenCheckpointError(f"{path} is larger than {MAX_TEXT_BYTES} bytes.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BrokenCheckpointError(f"{path} is not UTF-8 text.", hint="fetch it again.") from error


def require_regular_file(path: Path) -> None:
    """Raise BrokenCheckpointError for a pipe, device, socket or folder; OSError if there is no such file."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise BrokenCheckpointError(f"{path} is not a regular file.", hint="fetch it again.")

"""Folders and files that other users of this machine cannot read."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private_folder(folder: Path) -> None:
    """Create a folder, and what is missing above it, for this user only; leaves existing ones as they are."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def create_private_file(path: Path) -> None:
    """Create an empty file for this user only, unless there is one."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def is_open_to_others(path: Path) -> bool:
    """Return whether other users may read or enter a path; False for a missing one, and on Windows."""
    if sys.platform == "win32":
        return False
    try:
        return bool(path.stat().st_mode & _FOR_OTHERS)
    except OSError:
        return False


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file that takes its name only once it is complete, in a private folder; raises OSError."""
    temporary: Path | None = None
    try:
        make_private_folder(path.parent)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=path.stem, suffix=".part", delete=False
        ) as file:
            temporary = Path(file.name)
            write(file)
        temporary.replace(path)
    except OSError:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise

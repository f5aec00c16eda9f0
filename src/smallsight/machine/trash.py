"""Moves a file to the trash of the system, on the disk where it is (FreeDesktop trash specification 1.0).

Only for systems that follow it, which are Linux and other Unix desktops. Nothing is copied: a disk without a
trash of its own, or one that cannot be written to, is refused.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

__all__ = ["NoTrashError", "move_to_trash"]

_FOLDER_MODE = 0o700
_MOST_NAMES = 10_000


class NoTrashError(OSError):
    """The system, or the disk of the file, has no trash that this user can write to."""


def move_to_trash(path: Path, *, name: str, folder_fd: int) -> Path:
    """Move the file ``name`` of an open folder to the trash, and return where it is now.

    ``path`` is where it was, absolute, for restoring it. The name is looked up in the open folder, so that a
    folder that is replaced meanwhile leads nowhere else. Raises NoTrashError, or OSError from moving.
    """
    if sys.platform in {"win32", "darwin"}:
        raise NoTrashError("this system's trash is not supported")
    device = os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_dev
    for trash, top in _trash_folders(path, device):
        try:
            files, infos = _made(trash / "files"), _made(trash / "info")
            if files.stat().st_dev != device:
                continue
        except OSError:
            continue
        return _moved(path, name, folder_fd, files, infos, top)
    raise NoTrashError("the disk has no trash that you can write to")


def _trash_folders(path: Path, device: int) -> Iterator[tuple[Path, Path | None]]:
    """Yield trash folders of the disk, and its top where paths are stored relative to that."""
    data_home = os.environ.get("XDG_DATA_HOME", "")
    home = Path(data_home) if data_home.startswith("/") else Path.home() / ".local" / "share"
    existing = next((one for one in (home, *home.parents) if one.exists()), None)
    if existing is not None and existing.stat().st_dev == device:
        yield home / "Trash", None
    top = path.parent
    while top != top.parent and top.parent.stat().st_dev == device:
        top = top.parent
    shared = top / ".Trash"
    if shared.is_dir() and not shared.is_symlink() and shared.stat().st_mode & stat.S_ISVTX:
        yield shared / str(os.getuid()), top
    own = top / f".Trash-{os.getuid()}"
    if not own.is_symlink():
        yield own, top


def _made(folder: Path) -> Path:
    folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
    if folder.is_symlink() or not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"not a folder that can be written to: {folder}")
    return folder


def _moved(path: Path, name: str, folder_fd: int, files: Path, infos: Path, top: Path | None) -> Path:
    """Reserve a name by creating its info file, then move; the info goes again if that fails."""
    stored = path if top is None else path.relative_to(top)
    deleted = datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S")
    text = f"[Trash Info]\nPath={quote(os.fsencode(stored))}\nDeletionDate={deleted}\n"
    stem, suffix = Path(name).stem, Path(name).suffix
    for number in range(1, _MOST_NAMES):
        free = name if number == 1 else f"{stem}.{number}{suffix}"
        info = infos / f"{free}.trashinfo"
        if (files / free).exists():
            continue
        try:
            descriptor = os.open(info, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text)
            os.rename(name, files / free, src_dir_fd=folder_fd)
        except BaseException:
            info.unlink(missing_ok=True)
            raise
        return files / free
    raise NoTrashError(f"the trash has too many files named {name}")

"""Removes picture files at a person's request: to the system's trash, or for good if that is asked for.

The only module of the library that touches a picture file. A file is removed only where it was shown, in a
folder of the library and not through a link, and only with the bytes that were shown.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from smallsight.errors import FileChangedError, FileNotRemovableError, NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.file_words import apply_file_words
from smallsight.library.schema import content, folder, picture
from smallsight.library.texts import renew_searchable
from smallsight.machine.trash import NoTrashError, move_to_trash

__all__ = ["RemovedFile", "remove_file"]

_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_CHUNK_BYTES = 1024 * 1024
_FOR_GOOD = "delete it for good, or remove it with another program."


@dataclass(frozen=True, slots=True)
class RemovedFile:
    """A file that was removed; ``trashed`` is where it is now, None if it was deleted for good."""

    path: Path
    content_id: int
    trashed: Path | None


def remove_file(database: Database, path: Path, sha256: str, *, for_good: bool = False) -> RemovedFile:
    """Move a file to the trash, or delete it ``for_good``, and mark it as vanished in the library.

    ``sha256`` is the hash of the content that the person saw. Raises NotInLibraryError for a file outside the
    library, FileChangedError if its bytes are others, FileNotRemovableError if the disk does not allow it.
    """
    with database.writing() as connection:
        row = _find(connection, path)
        if row.sha256 != sha256:
            raise FileChangedError(
                f"The file has changed since it was shown: {path}",
                hint="look at it again before removing it.",
            )
        trashed = _removed(Path(row.root), row.below, sha256, for_good=for_good)
        connection.execute(
            picture.update().where(picture.c.id == row.picture_id).values(vanished_at_s=time.time())
        )
        apply_file_words(connection, [row.content_id])
        renew_searchable(connection, [row.content_id])
    return RemovedFile(path, row.content_id, trashed)


@dataclass(frozen=True, slots=True)
class _KnownPlace:
    picture_id: int
    content_id: int
    sha256: str
    root: str
    below: str


def _find(connection: sa.Connection, path: Path) -> _KnownPlace:
    """Return the present file of the library with exactly this path."""
    rows = connection.execute(
        sa.select(
            picture.c.id, picture.c.content_id, content.c.sha256, folder.c.path, picture.c.path.label("b")
        )
        .join(folder, folder.c.id == picture.c.folder_id)
        .join(content, content.c.id == picture.c.content_id)
        .where(
            picture.c.vanished_at_s.is_(None),
            folder.c.path.concat("/").concat(picture.c.path).in_([str(path), f"/{path}"]),
        )
    ).all()
    if not rows:
        raise NotInLibraryError(
            f"Not a file of the library: {path}",
            hint="only pictures in folders of the library can be removed.",
        )
    return _KnownPlace(*rows[0])


def _removed(root: Path, below: str, sha256: str, *, for_good: bool) -> Path | None:
    path = root / below
    try:
        with _opened_folder(root, below) as folder_fd:
            name = path.name
            seen = _checked(path, name, folder_fd, sha256)
            now = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
            if (now.st_dev, now.st_ino, now.st_mtime_ns) != (seen.st_dev, seen.st_ino, seen.st_mtime_ns):
                raise FileChangedError(
                    f"The file changed just now: {path}", hint="look at it again before removing it."
                )
            if for_good:
                os.unlink(name, dir_fd=folder_fd)
                return None
            return move_to_trash(path, name=name, folder_fd=folder_fd)
    except NoTrashError as error:
        raise FileNotRemovableError(f"Cannot move to the trash ({error}): {path}", hint=_FOR_GOOD) from error
    except OSError as error:
        raise _not_removable(path, error) from error


@contextmanager
def _opened_folder(root: Path, below: str) -> Iterator[int]:
    """Open the folder of a file one level after the other, following no link below ``root``."""
    if os.open not in os.supports_dir_fd:
        raise NoTrashError("this system cannot open a folder safely")
    opened = os.open(root, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        for one in Path(below).parts[:-1]:
            inner = os.open(one, _FOLDER_FLAGS, dir_fd=opened)
            os.close(opened)
            opened = inner
        yield opened
    finally:
        os.close(opened)


def _checked(path: Path, name: str, folder_fd: int, sha256: str) -> os.stat_result:
    """Return the status of a regular file with this hash; raises FileChangedError for any other."""
    if not stat.S_ISREG(os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mode):
        raise FileChangedError(f"This is not a file any more: {path}", hint="run `smallsight index` again.")
    descriptor = os.open(name, _FILE_FLAGS, dir_fd=folder_fd)
    try:
        digest = hashlib.sha256()
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            digest.update(chunk)
        if digest.hexdigest() != sha256:
            raise FileChangedError(
                f"The file has changed since it was shown: {path}", hint="run `smallsight index` again."
            )
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _not_removable(path: Path, error: OSError) -> Exception:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return FileChangedError(
            f"The file is not there any more: {path}", hint="run `smallsight index` again."
        )
    if error.errno == errno.ELOOP:
        return FileNotRemovableError(
            f"A link leads to this file: {path}", hint="remove it where it is, with another program."
        )
    if error.errno == errno.EROFS:
        return FileNotRemovableError(
            f"The disk is read-only: {path}", hint="connect it so that it can be written to."
        )
    return FileNotRemovableError(
        f"The file cannot be removed ({error.strerror or error}): {path}",
        hint="give this user write permission to its folder.",
    )

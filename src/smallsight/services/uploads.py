"""Uploads: bytes that arrive in parts, whose state is on disk, so that any of them can be continued.

Owns receiving. What becomes of a complete file is in ``finished_uploads``.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from smallsight.errors import (
    ArgumentError,
    PictureTooLargeError,
    StorageError,
    UploadConflictError,
    UploadMissingError,
)
from smallsight.machine.private_files import make_private_folder
from smallsight.settings import MIB, Settings

KEPT_S = 24 * 3600.0
_ID = re.compile(r"[0-9a-f]{32}")
_MAX_UNFINISHED = 1000
_SPARE_BYTES = 16 * MIB  # of the disk, for the library's own files


@dataclass(frozen=True, slots=True)
class Upload:
    """One file that arrives: its name as the client says, its size, and the folder it is for."""

    id: str
    name: str
    size_bytes: int
    folder: str


class Uploads:
    """The unfinished uploads in the data folder. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.home / "uploads"
        self._max_bytes = settings.limits.max_file_bytes
        self._turn = threading.Lock()
        self._active: set[str] = set()
        self.recent: dict[str, Path] = {}  # stored since the start, by SHA-256

    def create(self, name: str, size_bytes: int, folder: str) -> Upload:
        """Begin an upload; raises ArgumentError, PictureTooLargeError and StorageError."""
        if size_bytes <= 0:
            raise ArgumentError("The file is empty.", hint="choose another one.")
        if size_bytes > self._max_bytes:
            raise PictureTooLargeError(
                f"The file is too large: {size_bytes:,} bytes (limit {self._max_bytes:,}).",
                hint="limits.max_file_bytes is the largest file that is read.",
            )
        self.remove_old()
        upload = Upload(secrets.token_hex(16), name[:1000], size_bytes, folder)
        try:
            make_private_folder(self._folder)
            if len(list(self._folder.glob("*.json"))) >= _MAX_UNFINISHED:
                raise ArgumentError(
                    f"There are {_MAX_UNFINISHED} unfinished uploads.", hint="finish or cancel some of them."
                )
            if shutil.disk_usage(self._folder).free < size_bytes + _SPARE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.path(upload).touch()
            described = self._folder / f"{upload.id}.json"
            temporary = described.with_suffix(".new")
            temporary.write_text(json.dumps(asdict(upload)), encoding="utf-8")
            temporary.replace(described)
        except OSError as error:
            self._delete(upload.id)
            raise not_stored(error) from error
        return upload

    def find(self, upload_id: str) -> Upload:
        """Return an unfinished upload; raises UploadMissingError."""
        if _ID.fullmatch(upload_id):
            with suppress(OSError, ValueError, TypeError):
                text = (self._folder / f"{upload_id}.json").read_text(encoding="utf-8")
                upload = Upload(**json.loads(text))
                if self.path(upload).is_file():
                    return upload
        raise UploadMissingError(
            "There is no such upload.", hint="it may be finished or too old; send the file again."
        )

    def path(self, upload: Upload) -> Path:
        """Return the file that holds what has arrived."""
        return self._folder / f"{upload.id}.part"

    def offset(self, upload: Upload) -> int:
        """Return how many bytes have arrived."""
        try:
            return self.path(upload).stat().st_size
        except FileNotFoundError:
            raise UploadMissingError("This upload has been finished or cancelled.") from None

    @contextmanager
    def receiving(self, upload: Upload) -> Iterator[None]:
        """Let nothing else change the upload in the block; raises UploadConflictError if something does."""
        with self._turn:
            if upload.id in self._active:
                raise UploadConflictError("This upload is being received already.", hint="wait for a moment.")
            self._active.add(upload.id)
        try:
            yield
        finally:
            with self._turn:
                self._active.discard(upload.id)

    def append(self, upload: Upload, offset: int, data: bytes) -> int:
        """Store bytes at an offset, which is where those before them end; return the next offset.

        Raises UploadConflictError for another offset, and StorageError when the disk is full; what arrived
        before is kept.
        """
        now = self.offset(upload)
        if offset != now:
            raise UploadConflictError(f"{now} bytes have arrived, so that offset {offset} does not follow.")
        if now + len(data) > upload.size_bytes:
            raise ArgumentError(f"The upload was announced with {upload.size_bytes:,} bytes and has more.")
        try:
            with self.path(upload).open("r+b") as file:
                file.seek(now)
                try:
                    file.write(data)
                    file.flush()
                except OSError:
                    with suppress(OSError):
                        file.truncate(now)
                    raise
        except OSError as error:
            raise not_stored(error) from error
        return now + len(data)

    def remove(self, upload: Upload) -> None:
        """Forget an upload and what has arrived of it."""
        with self.receiving(upload):
            self.discard(upload)

    def discard(self, upload: Upload) -> None:
        """Do so inside ``receiving``."""
        self._delete(upload.id)

    def remove_old(self) -> None:
        """Remove what nobody has continued for a day."""
        too_old_s = time.time() - KEPT_S
        with suppress(OSError):
            for file in self._folder.iterdir():
                with suppress(OSError):
                    if file.stat().st_mtime < too_old_s and not self._is_recent(file, too_old_s):
                        file.unlink(missing_ok=True)

    def _is_recent(self, file: Path, too_old_s: float) -> bool:
        """Return whether a part of this upload has arrived lately."""
        part = file.with_suffix(".part")
        return part.exists() and part.stat().st_mtime >= too_old_s

    def _delete(self, upload_id: str) -> None:
        for suffix in (".json", ".part", ".new"):
            with suppress(OSError):
                (self._folder / f"{upload_id}{suffix}").unlink(missing_ok=True)


def not_stored(error: OSError) -> StorageError:
    """Return the error about a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            "The disk is full; the picture was not stored.", hint="make room, then try again."
        )
    return StorageError(
        f"The picture cannot be stored: {(error.strerror or str(error)).lower()}.",
        hint="give this user write permission.",
    )

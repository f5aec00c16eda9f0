"""Pictures that people search by: kept for a day, so that such a search can be opened again."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import OrderedDict
from pathlib import Path

from smallsight.errors import NotInLibraryError
from smallsight.library.database import storage_errors
from smallsight.library.search.likeness import Likeness
from smallsight.machine.private_files import create_private_file, make_private_folder
from smallsight.services.application import Application
from smallsight.services.likeness import content_with, likeness_of_bytes
from smallsight.settings import Settings

_KEPT_S = 24 * 3600
_MAX_KEPT = 200
_MAX_REMEMBERED = 32
_SHA256 = re.compile("[0-9a-f]{64}")


class QueryPictures:
    """Keeps them in the data folder, and remembers what the newest look like. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.home / "query-pictures"
        self._turn = threading.Lock()
        self._remembered: OrderedDict[str, Likeness] = OrderedDict()

    def keep(self, application: Application, data: bytes, name: str) -> str:
        """Keep a picture and return its SHA-256; raises subclasses of PictureError, and StorageError."""
        sha256 = hashlib.sha256(data).hexdigest()
        likeness = likeness_of_bytes(
            application, self._settings, data, Path(name)
        )  # first: it refuses what is no picture
        path = self._folder / sha256
        with storage_errors(path):
            make_private_folder(self._folder)
            create_private_file(path)
            path.write_bytes(data)
            self._remove_old()
        self._remember(sha256, likeness)
        return sha256

    def find(self, application: Application, sha256: str) -> Likeness | int:
        """Return what a kept picture looks like, or its content id if it is in the library.

        Raises NotInLibraryError if it is not kept.
        """
        if not _SHA256.fullmatch(sha256):
            raise NotInLibraryError("There is no such picture.")
        if (known := content_with(application, sha256)) is not None:
            return known
        with self._turn:
            remembered = self._remembered.get(sha256)
        if remembered is not None:
            return remembered
        try:
            data = (self._folder / sha256).read_bytes()
        except OSError as error:
            raise NotInLibraryError(
                "The picture that was searched by is no longer kept.", hint="drop it on the page again."
            ) from error
        likeness = likeness_of_bytes(application, self._settings, data, Path(sha256))
        self._remember(sha256, likeness)
        return likeness

    def _remember(self, sha256: str, likeness: Likeness) -> None:
        with self._turn:
            self._remembered[sha256] = likeness
            while len(self._remembered) > _MAX_REMEMBERED:
                self._remembered.popitem(last=False)

    def _remove_old(self) -> None:
        oldest_s = time.time() - _KEPT_S
        kept = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for number, path in enumerate(kept):
            if number >= _MAX_KEPT or path.stat().st_mtime < oldest_s:
                path.unlink(missing_ok=True)

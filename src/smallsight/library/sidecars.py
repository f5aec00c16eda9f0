"""Reads the sidecars of a folder's pictures: those that are new or changed, and forgets those that are gone.

The pictures themselves are not opened. A sidecar is parsed in the disposable child.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.errors import PictureError, PictureNotFoundError
from smallsight.library.database import Database
from smallsight.library.file_words import apply_file_words
from smallsight.library.progress import Progress
from smallsight.library.schema import picture, sidecar
from smallsight.library.texts import renew_searchable
from smallsight.library.walk import FoundFile, Listing
from smallsight.media.decoder import PictureDecoder
from smallsight.media.files import read_picture_file
from smallsight.media.metadata.reading import SidecarKind
from smallsight.media.metadata.takeout import MAX_TAKEOUT_BYTES
from smallsight.media.metadata.words import FileWords
from smallsight.media.metadata.xmp import MAX_XMP_BYTES
from smallsight.settings import Settings

_FILES_PER_COMMIT = 64
_MAX_BYTES = {SidecarKind.XMP: MAX_XMP_BYTES, SidecarKind.TAKEOUT: MAX_TAKEOUT_BYTES}


@dataclass(frozen=True, slots=True)
class _Known:
    picture_id: int
    content_id: int | None
    files: dict[str, tuple[int, int]]  # size and time by name


@dataclass(frozen=True, slots=True)
class _Read:
    found: FoundFile
    words: FileWords | None


class SidecarScan:
    """One scan of the sidecars that a listing of a folder has found."""

    def __init__(self, database: Database, settings: Settings, folder_id: int, root: Path) -> None:
        self._database = database
        self._settings = settings
        self._folder_id = folder_id
        self._root = root
        self.num_gone = 0  # of those that were known

    def run(self, listing: Listing, progress: Progress, should_stop: Callable[[], bool]) -> int:
        """Read what is due, until should_stop returns True; return how many sidecars were read."""
        known = self._known(has_any=bool(listing.sidecars))
        self._forget(listing, known)
        due: dict[FoundFile, list[_Known]] = defaultdict(list)
        for path, files in listing.sidecars.items():
            if (row := known.get(path)) is not None:
                for found in files:
                    if row.files.get(_name(found.path)) != (found.size_bytes, found.mtime_ns):
                        due[found].append(row)
        if not due:
            return 0
        num_read = 0
        progress.begin("Reading sidecars", len(due), "files")
        try:
            with PictureDecoder(self._settings.limits) as decoder:
                waiting = list(due)
                for start in range(0, len(waiting), _FILES_PER_COMMIT):
                    some = waiting[start : start + _FILES_PER_COMMIT]
                    read = list(self._read(decoder, some, progress, should_stop))
                    self._store(read, due)
                    num_read += len(read)
                    if should_stop():
                        break
        finally:
            progress.end()
        return num_read

    def _known(self, *, has_any: bool) -> dict[str, _Known]:
        """Return the pictures that are there, and their known sidecars, by the path of the picture.

        Returns nothing if there is no sidecar, neither in the folder (``has_any``) nor in the library.
        """
        known: dict[str, _Known] = {}
        with self._database.reading() as connection:
            if not has_any and connection.execute(sa.select(sidecar.c.picture_id).limit(1)).first() is None:
                return {}
            rows = connection.execute(
                sa.select(picture.c.path, picture.c.id, picture.c.content_id, sidecar)
                .outerjoin(sidecar, sidecar.c.picture_id == picture.c.id)
                .where(picture.c.folder_id == self._folder_id, picture.c.vanished_at_s.is_(None))
            )
            for row in rows:
                one = known.setdefault(row.path, _Known(row.id, row.content_id, {}))
                if row.name is not None:
                    one.files[row.name] = row.size_bytes, row.mtime_ns
        return known

    def _forget(self, listing: Listing, known: dict[str, _Known]) -> None:
        """Delete what is known of sidecars that are gone; in a folder that could not be listed none is."""
        gone: list[tuple[_Known, str]] = []
        for path, row in known.items():
            if row.files and listing.covers(path):
                names = {_name(found.path) for found in listing.sidecars.get(path, ())}
                gone += [(row, name) for name in row.files.keys() - names]
        self.num_gone = len(gone)
        for start in range(0, len(gone), _FILES_PER_COMMIT):
            some = gone[start : start + _FILES_PER_COMMIT]
            with self._database.writing() as connection:
                for row, name in some:
                    is_it = (sidecar.c.picture_id == row.picture_id) & (sidecar.c.name == name)
                    connection.execute(sidecar.delete().where(is_it))
                _apply(connection, [row for row, _ in some])

    def _read(
        self,
        decoder: PictureDecoder,
        batch: Sequence[FoundFile],
        progress: Progress,
        should_stop: Callable[[], bool],
    ) -> Iterator[_Read]:
        inside = None if self._settings.index.follow_symlinks else self._root
        for found in batch:
            if should_stop():
                return
            kind = SidecarKind.XMP if found.path.lower().endswith(".xmp") else SidecarKind.TAKEOUT
            limits = self._settings.limits.model_copy(update={"max_file_bytes": _MAX_BYTES[kind]})
            words = None
            try:
                data = read_picture_file(self._root / found.path, limits, inside=inside)
                words = decoder.read_words(data, kind).cut(limits.max_text_chars)
            except PictureError as error:
                progress.problem(found.path, error)
                if isinstance(error, PictureNotFoundError):  # it may be readable in the next run
                    progress.advance()
                    continue
            yield _Read(found, words)
            progress.advance()

    def _store(self, batch: list[_Read], due: dict[FoundFile, list[_Known]]) -> None:
        rows = [
            {
                "picture_id": row.picture_id,
                "name": _name(read.found.path),
                "size_bytes": read.found.size_bytes,
                "mtime_ns": read.found.mtime_ns,
                "words": read.words.to_json() if read.words else None,
            }
            for read in batch
            for row in due[read.found]
        ]
        if not rows:
            return
        statement = insert(sidecar)
        changed = {name: statement.excluded[name] for name in ("size_bytes", "mtime_ns", "words")}
        with self._database.writing() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=["picture_id", "name"], set_=changed), rows
            )
            _apply(connection, [row for read in batch for row in due[read.found]])


def _apply(connection: sa.Connection, rows: list[_Known]) -> None:
    ids = sorted({row.content_id for row in rows if row.content_id is not None})
    if changed := apply_file_words(connection, ids):
        renew_searchable(connection, changed)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]

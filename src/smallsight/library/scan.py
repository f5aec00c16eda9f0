"""Updates the library's list of files from a folder on disk.

Decides which files are new, changed, moved or gone. It reads files to hash them, and never writes to them. A
file that was read and has the same size and modification time is not opened. Vanished files are marked, not
deleted, and a file that reappears elsewhere with the same bytes keeps its row.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.errors import (
    FolderMissingError,
    PictureError,
    PictureNotFoundError,
    SmallsightError,
    UnexpectedPictureError,
)
from smallsight.library.database import Database
from smallsight.library.file_words import apply_file_words
from smallsight.library.ignored import IgnoredFiles
from smallsight.library.kinship import inherit, is_decoded, note_successor
from smallsight.library.moved_files import move_row, rows_gone_before
from smallsight.library.progress import PictureChange, Progress
from smallsight.library.read_files import ReadFiles
from smallsight.library.scan_parts import WHOLE, ScanParts
from smallsight.library.schema import content, folder, picture
from smallsight.library.sidecars import SidecarScan
from smallsight.library.texts import renew_searchable
from smallsight.library.walk import FoundFile, Listing, Passed, list_pictures
from smallsight.media.file_kinds import FileKind, kind_of_found
from smallsight.media.large_files import read_and_hash
from smallsight.media.video_formats import has_video
from smallsight.policy.log import get_logger
from smallsight.settings import Settings

log = get_logger(__name__)

_CONNECT = "connect the disk that holds it, or run `smallsight folders remove` to forget it."
_FILES_PER_COMMIT = 64
_IDS_PER_STATEMENT = 500


@dataclass(slots=True)
class ScanReport:
    """The number of files that a scan found; ``hash_s`` is the time spent reading and hashing."""

    folder: Path
    found: int = 0
    videos: int = 0  # of those found, by their names
    added: int = 0
    changed: int = 0
    moved: int = 0
    vanished: int = 0
    unreadable: int = 0
    hashed: int = 0
    hash_s: float = 0.0
    sidecars: int = 0  # found beside pictures
    sidecars_read: int = 0  # of those, new or changed
    sidecars_gone: int = 0  # known before, and not found any more
    unsettled: list[str] = field(default_factory=list)  # relative; left for another scan
    unreadable_folders: list[str] = field(default_factory=list)
    passed: dict[str, list[str]] = field(default_factory=dict)  # by reason: files and folders passed over
    is_complete: bool = False  # False when stopped early: then nothing is marked as vanished


@dataclass(frozen=True, slots=True)
class _KnownFile:
    id: int
    size_bytes: int
    mtime_ns: int
    content_id: int | None
    is_vanished: bool
    error: str | None  # why it could not be read


_KnownFiles = dict[str, _KnownFile]  # by path
_NewRows = dict[int, list[int]]  # pictures first seen in this scan, by content


@dataclass(frozen=True, slots=True)
class _HashedFile:
    found: FoundFile
    sha256: str | None
    error: PictureError | None


class FolderScan:
    """One scan of one folder of the library.

    ``files`` receives the bytes that were read, for the stages that open the pictures next. Only what is in
    ``parts`` is listed, and only there can files be gone. New and changed files for which ``is_settled``
    returns False are left as they are, and listed in the report.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        folder_id: int,
        root: Path,
        files: ReadFiles | None = None,
        *,
        parts: ScanParts = WHOLE,
        is_settled: Callable[[Path, FoundFile], bool] | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._folder_id = folder_id
        self._root = root
        self._files = files
        self._parts = parts
        self._is_settled = is_settled
        self._ignored, self._report = IgnoredFiles(database, folder_id), ScanReport(folder=root)

    def run(self, progress: Progress, should_stop: Callable[[], bool]) -> ScanReport:
        """Scan to the end, or until should_stop returns True; what was committed by then stays.

        Raises FolderMissingError, and marks nothing, if the folder is missing or empty although it held
        pictures: then its disk is probably not connected.
        """
        if not self._root.is_dir():
            raise FolderMissingError(f"The folder is missing: {self._root}", hint=_CONNECT)
        listing = self._list()
        for name in listing.passed.get(Passed.NAME, ()):
            error = PictureError("The name is not valid text (UTF-8).", hint="rename the file.")
            progress.problem(name, error)
        if listing.is_empty and (num_known := self._num_present()):
            raise FolderMissingError(
                f"The folder is empty, and it held {num_known:,} pictures: {self._root}", hint=_CONNECT
            )
        known = self._known_files(listing.parts)
        candidates = self._ignored.not_known(listing.files)
        to_read = self._settled([one for one in candidates if not _is_read(one, known.get(one.path))])
        new_rows: _NewRows = defaultdict(list)
        progress.begin(f"Scanning {self._root.name or self._root}", len(to_read), "files")
        try:
            for start in range(0, len(to_read), _FILES_PER_COMMIT):
                batch = to_read[start : start + _FILES_PER_COMMIT]
                hashed = list(self._hash(batch, known, progress, should_stop))
                self._store(hashed, known, new_rows, progress)
                if should_stop():
                    return self._report
        finally:
            progress.end()
        self._mark_vanished(listing, known, new_rows, progress)
        self._report.is_complete = True
        if self._settings.index.metadata:
            sidecars = SidecarScan(self._database, self._settings, self._folder_id, self._root)
            self._report.sidecars_read = sidecars.run(listing, progress, should_stop)
            self._report.sidecars_gone = sidecars.num_gone
        return self._report

    def _list(self) -> Listing:
        listing = list_pictures(
            self._root,
            exclude=self._settings.index.exclude,
            follow_symlinks=self._settings.index.follow_symlinks,
            wants_sidecars=self._settings.index.metadata,
            wants_videos=has_video(),
            parts=self._parts,
            data_folder=self._settings.home.resolve(),
        )
        self._report.sidecars = len({found for files in listing.sidecars.values() for found in files})
        self._report.found = len(listing.files)
        self._report.videos = sum(kind_of_found(one.path) is FileKind.VIDEO for one in listing.files)
        self._report.unreadable_folders = listing.unreadable_folders
        self._report.passed = {str(reason): paths for reason, paths in sorted(listing.passed.items())}
        self._report.unreadable = len(listing.passed.get(Passed.NAME, ()))
        return listing

    def _settled(self, found_files: list[FoundFile]) -> list[FoundFile]:
        """Return the files that are read now, and note the others."""
        if self._is_settled is None:
            return found_files
        is_settled = {found: self._is_settled(self._root / found.path, found) for found in found_files}
        self._report.unsettled = [found.path for found in found_files if not is_settled[found]]
        return [found for found in found_files if is_settled[found]]

    def _num_present(self) -> int:
        with self._database.reading() as connection:
            is_present = (picture.c.folder_id == self._folder_id) & picture.c.vanished_at_s.is_(None)
            counted = sa.select(sa.func.count()).select_from(picture).where(is_present)
            return int(connection.execute(counted).scalar_one())

    def _known_files(self, parts: ScanParts) -> _KnownFiles:
        with self._database.reading() as connection:
            of = picture.c
            columns = (of.path, of.id, of.size_bytes, of.mtime_ns, of.content_id, of.vanished_at_s, of.error)
            is_wanted = (of.folder_id == self._folder_id) & parts.condition(of.path)
            rows = connection.execute(sa.select(*columns).where(is_wanted))
            return {row[0]: _KnownFile(*row[1:5], row[5] is not None, row[6]) for row in rows}

    def _hash(
        self,
        batch: Iterable[FoundFile],
        known: _KnownFiles,
        progress: Progress,
        should_stop: Callable[[], bool],
    ) -> Iterator[_HashedFile]:
        """Yield what was read, and what cannot be read unless that has been reported."""
        inside = None if self._settings.index.follow_symlinks else self._root
        for found in batch:
            if should_stop():
                return
            started_s, path = time.perf_counter(), self._root / found.path
            failure: PictureError | None = None
            try:
                sha256, data = read_and_hash(path, self._settings.limits, should_stop, inside=inside)
            except PictureError as error:
                is_gone = isinstance(error, PictureNotFoundError) and not path.exists()
                failure = None if is_gone else error
            except Exception as error:
                log.info("picture_unexpected", path=str(found.path), exc_info=True)
                failure = UnexpectedPictureError.of(error)
            else:
                if sha256 is None:  # stopped
                    return
                if self._files is not None and data is not None:
                    self._files.keep(sha256, data)
                yield _HashedFile(found, sha256, None)
            if failure is not None and not _is_reported(found, known.get(found.path), failure):
                progress.problem(found.path, failure)
                yield _HashedFile(found, None, failure)
            self._report.hash_s += time.perf_counter() - started_s
            progress.advance()

    def _store(
        self, batch: Sequence[_HashedFile], known: _KnownFiles, new_rows: _NewRows, progress: Progress
    ) -> None:
        """Store a batch in one transaction; if that fails, each file in one of its own."""
        try:
            self._store_together(batch, known, new_rows, progress)
        except SmallsightError:  # the disk or the library, not a file
            raise
        except Exception as error:
            if len(batch) > 1:
                for item in batch:
                    self._store([item], known, new_rows, progress)
                return
            path = batch[0].found.path
            log.info("picture_unexpected", path=str(path), exc_info=True)
            progress.problem(path, UnexpectedPictureError.of(error))
            self._report.unreadable += 1

    def _store_together(
        self, batch: Sequence[_HashedFile], known: _KnownFiles, new_rows: _NewRows, progress: Progress
    ) -> None:
        if not batch:
            return
        stored: list[tuple[_HashedFile, _KnownFile | None, int | None, int]] = []
        with self._database.writing() as connection:
            batch = self._ignored.without(connection, batch)
            content_ids = _content_ids(connection, batch)
            touched: set[int] = set()
            for item in batch:
                before = known.get(item.found.path)
                content_id = None if item.sha256 is None else content_ids[item.sha256]
                stored.append((item, before, content_id, self._store_one(connection, item, content_id)))
                if content_id is not None:
                    touched.add(content_id)
                if before is not None and before.content_id is not None:
                    touched.add(before.content_id)
                    if content_id not in (None, before.content_id):
                        note_successor(connection, content_id, before.content_id)
                        if is_decoded(connection, content_id):
                            inherit(connection, content_id)
            _renew_texts(connection, touched)
        for item, before, content_id, picture_id in stored:
            self._count(item, before, content_id)
            if before is None and content_id is not None:
                new_rows[content_id].append(picture_id)
            if (change := _change(before, content_id)) is not None:
                progress.picture_changed(content_id, self._root / item.found.path, change)

    def _store_one(self, connection: sa.Connection, item: _HashedFile, content_id: int | None) -> int:
        values = {
            "size_bytes": item.found.size_bytes,
            "mtime_ns": item.found.mtime_ns,
            "content_id": content_id,
            "error": None if item.error is None else item.error.message,
            "vanished_at_s": None,
        }
        statement = (
            insert(picture)
            .values(folder_id=self._folder_id, path=item.found.path, seen_at_s=time.time(), **values)
            .on_conflict_do_update(index_elements=["folder_id", "path"], set_=values)
            .returning(picture.c.id)
        )
        return int(connection.execute(statement).scalar_one())

    def _count(self, item: _HashedFile, before: _KnownFile | None, content_id: int | None) -> None:
        self._report.hashed += item.sha256 is not None
        self._report.unreadable += item.error is not None
        if before is None:
            self._report.added += 1
        elif before.content_id != content_id:
            self._report.changed += 1

    def _mark_vanished(
        self, listing: Listing, known: _KnownFiles, new_rows: _NewRows, progress: Progress
    ) -> None:
        """Move the rows of moved files, mark the other missing files, and set the time of the scan.

        Videos that cannot be read any more, because the extra is gone, are not missing.
        """
        present = {found.path for found in listing.files}.union(listing.passed.get(FileKind.VIDEO, ()))
        gone = [
            (path, file)
            for path, file in known.items()
            if path not in present and not file.is_vanished and listing.covers(path)
        ]
        changes: list[tuple[int | None, Path, PictureChange]] = []
        with self._database.writing() as connection:
            touched: set[int] = set()
            for path, file in gone:
                if file.content_id is not None:
                    touched.add(file.content_id)
                    if new := new_rows.get(file.content_id):
                        changes.append(self._follow(connection, file.content_id, file.id, new.pop(0)))
                        continue
                is_it = picture.c.id == file.id
                connection.execute(picture.update().where(is_it).values(vanished_at_s=time.time()))
                self._report.vanished += 1
                changes.append((file.content_id, self._root / path, PictureChange.VANISHED))
            gone_before = rows_gone_before(connection, self._folder_id, self._root, listing.parts, new_rows)
            for content_id, old_id in gone_before:
                changes.append(self._follow(connection, content_id, old_id, new_rows[content_id].pop(0)))
                touched.add(content_id)
            _renew_texts(connection, touched)
            if listing.parts.is_whole:
                connection.execute(
                    folder.update().where(folder.c.id == self._folder_id).values(scanned_at_s=time.time())
                )
        for one in changes:
            progress.picture_changed(*one)

    def _follow(
        self, connection: sa.Connection, content_id: int | None, old_id: int, new_id: int
    ) -> tuple[int | None, Path, PictureChange]:
        self._report.moved += 1
        self._report.added -= 1
        return content_id, self._root / move_row(connection, old_id, new_id), PictureChange.MOVED


def _is_unchanged(found: FoundFile, known: _KnownFile) -> bool:
    is_same = (known.size_bytes, known.mtime_ns) == (found.size_bytes, found.mtime_ns)
    return is_same and not known.is_vanished


def _is_read(found: FoundFile, known: _KnownFile | None) -> bool:
    """Return whether a file is in the library as it is; rights and limits may have changed for any other."""
    return known is not None and known.content_id is not None and _is_unchanged(found, known)


def _is_reported(found: FoundFile, known: _KnownFile | None, error: PictureError) -> bool:
    return known is not None and known.error == error.message and _is_unchanged(found, known)


def _change(before: _KnownFile | None, content_id: int | None) -> PictureChange | None:
    if before is None or before.is_vanished:
        return PictureChange.ADDED
    return PictureChange.CHANGED if before.content_id != content_id else None


def _content_ids(connection: sa.Connection, batch: Sequence[_HashedFile]) -> dict[str, int]:
    """Return the ids of the batch's contents by hash, adding those not seen before."""
    sizes = {item.sha256: item.found.size_bytes for item in batch if item.sha256 is not None}
    if not sizes:
        return {}
    connection.execute(
        insert(content).on_conflict_do_nothing(),
        [{"sha256": sha256, "size_bytes": size_bytes} for sha256, size_bytes in sizes.items()],
    )
    rows = connection.execute(sa.select(content.c.sha256, content.c.id).where(content.c.sha256.in_(sizes)))
    return {row[0]: row[1] for row in rows}


def _renew_texts(connection: sa.Connection, content_ids: set[int]) -> None:
    """Update the search index of contents and make their vectors due, because names are searchable.

    Their files have changed, and so may have the words that come from sidecars.
    """
    every = sorted(content_ids)
    for start in range(0, len(every), _IDS_PER_STATEMENT):
        ids = every[start : start + _IDS_PER_STATEMENT]
        apply_file_words(connection, ids)
        renew_searchable(connection, ids)

"""Keeps folders of the library up to date: indexes them once, and then whatever changes in them.

Owns when something is indexed. What is done then is in ``indexing``, and how changes are noticed is in
``watched_folders``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from smallsight.errors import FolderError, LibraryBusyError, SettingsError, SmallsightError
from smallsight.lending.model_lender import ModelLender
from smallsight.lending.resident_models import FOREVER_S
from smallsight.library.library import FolderSummary
from smallsight.library.lock import RunLock
from smallsight.library.progress import Progress
from smallsight.library.read_files import ReadFiles
from smallsight.library.walk import IGNORE_FILE, FoundFile, is_excluded
from smallsight.machine.watching import is_open_for_writing
from smallsight.media.file_kinds import FileKind, kind_of_file
from smallsight.policy.sidecar_names import is_sidecar_name
from smallsight.policy.still_files import STILL_S, StillFiles
from smallsight.services.indexing import IndexingApplication, RunReport
from smallsight.services.watched_folders import RESCAN_S, WatchedFolders
from smallsight.settings import Settings

_LONGEST_COLLECTING_S = 30.0  # of a batch, while changes keep coming
_MAX_PATHS = 1000  # of a folder; when more have changed, all of it is scanned
_MAX_KEPT_PATHS = 20_000  # while another process indexes
_RETRY_S, _BUSY_RETRY_S, _IDLE_WAIT_S = 60.0, 1.0, 60.0


class WatchObserver(Protocol):
    """Callbacks of a watch, in its thread."""

    def begin_batch(self) -> Progress:
        """Return who is told about the work of the next batch."""
        ...

    def indexed(self, report: RunReport) -> None:
        """Report what a batch has done; the first one is the index run at the start."""
        ...

    def watching(self, folders: Sequence[Path], polled: Sequence[Path]) -> None:
        """Report that the first batch is done."""
        ...

    def waiting(self, error: LibraryBusyError) -> None:
        """Report that another process indexes; once, until it is done."""
        ...

    def missing(self, folder: Path) -> None:
        """Report that a folder has gone, or is empty although it held pictures."""
        ...

    def returned(self, folder: Path) -> None:
        """Report that a missing folder is there again."""
        ...

    def failed(self, error: SmallsightError, retry_s: float) -> None:
        """Report that a batch failed, and is tried again."""
        ...

    def polling(self, reason: str) -> None:
        """Report that all folders are polled from now on."""
        ...


class Watch:
    """One watch of folders; ``run`` does everything, in the caller's thread.

    Models, the text reader and the library are closed when nothing was indexed for ``memory.keep_alive_s``.
    """

    def __init__(
        self,
        settings: Settings,
        observer: WatchObserver,
        *,
        describes: bool = True,
        retry_failed: bool = False,
        has_work: bool = True,
        poll_s: float | None = None,
        rescan_s: float | None = RESCAN_S,
        lender: ModelLender | None = None,
        configures_logging: bool = True,
        in_background: bool = False,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        """Without ``has_work`` all work is known to be done, except on what the first scan finds.

        ``on_idle`` is called every few seconds while there is nothing to index. Models are borrowed from
        ``lender``; by default from a private one.
        """
        self._settings = settings
        self._observer = observer
        self._describes = describes
        self._retries_failed = retry_failed
        self._poll_s = poll_s
        self._rescan_s = rescan_s
        self._lender = lender
        self._configures_logging = configures_logging
        self._in_background = in_background
        self._on_idle = on_idle
        self._data_folder = settings.home.resolve()
        self._exclude = [one.lower() for one in settings.index.exclude]
        self._application: IndexingApplication | None = None
        self._roots: list[Path] = []
        self._paths: set[str] = set()  # changed, and not yet indexed
        self._folders: set[Path] = set()  # to be scanned as a whole
        self._missing: set[Path] = set()
        self._still = StillFiles()
        self._first_s = self._last_s = self._not_before_s = self._worked_s = 0.0
        self._is_first = True
        self._has_work = has_work or retry_failed
        self._has_said_busy = False
        self.is_busy = False

    def run(self, folders: Sequence[Path], stop: threading.Event) -> None:
        """Index the folders, or all known ones, then watch them until the event is set.

        Raises what ``IndexingApplication.index`` raises, until the first batch is done.
        """
        try:
            self._roots = self._find_roots(folders, stop)
            with WatchedFolders(
                self._roots,
                poll_s=self._poll_s,
                on_fallback=self._observer.polling,
                rescan_s=self._rescan_s,
            ) as watched:
                while not stop.is_set():
                    self._step(watched, stop)
        finally:
            self._close()

    def _step(self, watched: WatchedFolders, stop: threading.Event) -> None:
        is_collecting = self._paths or self._folders
        changes = watched.wait(STILL_S / 2 if is_collecting else _IDLE_WAIT_S, stop)
        now_s = time.monotonic()
        if paths := {path for path in map(self._relevant, changes.paths) if path is not None}:
            self._note(paths, now_s)
        self._folders |= changes.folders
        if stop.is_set():
            return
        is_quiet = now_s - self._last_s >= STILL_S or now_s - self._first_s >= _LONGEST_COLLECTING_S
        is_due = is_quiet if self._paths else bool(self._folders)
        if is_due and now_s >= self._not_before_s:
            self._index(stop)
            if self._is_first and not self._folders and not stop.is_set():
                self._is_first = False
                self._observer.watching(self._roots, watched.polled)
        elif not self._paths and not self._folders:
            self._on_idle()
        self._close_if_idle()

    def _note(self, paths: Iterable[str], now_s: float) -> None:
        if not self._paths:
            self._first_s = now_s
        self._last_s = now_s
        self._paths.update(paths)
        if len(self._paths) > _MAX_KEPT_PATHS:
            self._folders.update(self._roots)
            self._paths.clear()

    def _relevant(self, path: str) -> str | None:
        """Return what has to be scanned after a change at the path; None if nothing."""
        root = self._root_of(path)
        if root is None or Path(path).is_relative_to(self._data_folder):
            return None
        below = Path(path).relative_to(root)
        if below.name == IGNORE_FILE:
            return str(Path(path).parent)
        parts = ["/".join(below.parts[: number + 1]) for number in range(len(below.parts))]
        if any(is_excluded(part, self._exclude) for part in parts):
            return None
        is_other = Path(path).is_file() and kind_of_file(Path(path)) is FileKind.OTHER
        return None if is_other and not is_sidecar_name(below.name) else path

    def _root_of(self, path: str) -> Path | None:
        return next((root for root in self._roots if Path(path).is_relative_to(root)), None)

    def _find_roots(self, folders: Sequence[Path], stop: threading.Event) -> list[Path]:
        """Add the folders to the library, and return what is watched."""
        application = self._open()
        if not folders:
            roots = [summary.path for summary in application.library.folders()]
            if not roots:
                raise SettingsError("No folder to watch.", hint="name one: `smallsight watch ~/Pictures`.")
            return roots
        while not stop.is_set():
            with self._run_lock() as is_ours:
                if is_ours:
                    return list(dict.fromkeys(_add(application, path) for path in folders))
            stop.wait(_BUSY_RETRY_S)
        return []

    def _index(self, stop: threading.Event) -> None:
        """Index what has changed and is settled, unless another process is indexing."""
        now_s = time.monotonic()
        paths = {path for path in self._paths if self._is_path_settled(Path(path))}
        folders = self._folders
        if not paths and not folders:
            self._last_s = now_s  # looked at again when it may be settled
            return
        self._not_before_s = now_s + _BUSY_RETRY_S
        self.is_busy = True
        report = None
        try:
            with self._run_lock() as is_ours:
                if is_ours:
                    self._paths, self._folders = self._paths - paths, set()
                    report = self._index_now(paths, folders, stop)
                    self._not_before_s = 0.0
            if report is not None:  # after the lock, so that the observer may index too
                self._observer.indexed(report)
        except SmallsightError as error:
            if self._is_first:
                raise
            self._paths |= paths
            self._folders |= folders
            self._has_work = True
            self._not_before_s = time.monotonic() + _RETRY_S
            self._observer.failed(error, _RETRY_S)
        finally:
            self.is_busy = False
            self._still.forget_old(now_s)

    def _index_now(self, paths: set[str], folders: set[Path], stop: threading.Event) -> RunReport:
        application = self._open()
        progress = self._observer.begin_batch()
        if self._is_first:
            if self._has_work:  # a model that cannot be loaded is reported first
                _ = application.describer, application.tagger
            if self._retries_failed:
                application.forget_failures()
        files = ReadFiles()
        places = self._places(application, paths, folders)
        report = application.scan(places, progress, stop.is_set, files, is_settled=self._is_settled)
        for scan in report.scans:
            if scan.unsettled:
                self._note((str(scan.folder / path) for path in scan.unsettled), time.monotonic())
        self._note_returned(places, report)
        if not stop.is_set() and (self._has_work or _has_changed(report)):
            self._has_work = True
            report.work = application.work(progress, stop.is_set, files)
            self._has_work = not report.work.is_complete
            self._worked_s = time.monotonic()
        return report

    def _places(
        self, application: IndexingApplication, paths: set[str], folders: set[Path]
    ) -> list[tuple[FolderSummary, str]]:
        """Return the parts to scan; what is missing, or no longer in the library, is left out."""
        places: list[tuple[FolderSummary, str]] = []
        for root in self._roots:
            place = application.library.find_folder(root)
            changed = [path for path in paths if self._root_of(path) == root]
            if place is None or not (changed or root in folders):
                continue
            if not root.is_dir():
                self._note_missing(root)
            elif root in folders or root in self._missing or len(changed) > _MAX_PATHS:
                places.append(place)
            else:
                relative = (Path(path).relative_to(place[0].path).as_posix() for path in changed)
                places += [(place[0], "" if path == "." else path) for path in relative]
        return places

    def _note_missing(self, folder: Path) -> None:
        if folder not in self._missing:
            self._missing.add(folder)
            self._observer.missing(folder)

    def _note_returned(self, places: Iterable[tuple[FolderSummary, str]], report: RunReport) -> None:
        """Note which folders were there for the scan, and which were empty."""
        for path in report.missing:
            self._note_missing(path)
        for folder, part in places:
            path = folder.path / part
            if path in self._missing and folder.path not in report.missing:
                self._missing.remove(path)
                self._observer.returned(path)

    def _is_path_settled(self, path: Path) -> bool:
        """Return whether a changed path can be scanned: a folder, what is gone, or a file that is settled."""
        try:
            status = path.stat()
        except OSError:
            return True
        if not path.is_file():
            return True
        return self._is_settled(path, FoundFile(str(path), status.st_size, status.st_mtime_ns))

    def _is_settled(self, path: Path, found: FoundFile) -> bool:
        """Return whether a file is complete, as far as its times and the system tell."""
        try:
            status = path.stat()
        except OSError:
            return True
        # A program may set the time of a file, but not, except on Windows, when that was done.
        age_s = time.time() - (status.st_mtime if os.name == "nt" else status.st_ctime)
        is_still = age_s >= STILL_S or self._still.is_still(
            str(path), found.size_bytes, found.mtime_ns, time.monotonic()
        )
        return is_still and not is_open_for_writing(path)

    @contextmanager
    def _run_lock(self) -> Iterator[bool]:
        """Hold the run lock inside the block; yield False if another process holds it."""
        self._open()  # makes the data folder
        try:
            lock = RunLock(self._settings.database_path.with_name("index.lock"))
        except LibraryBusyError as error:
            if not self._has_said_busy:
                self._has_said_busy = True
                self._observer.waiting(error)
            yield False
            return
        self._has_said_busy = False
        try:
            yield True
        finally:
            lock.release()

    def _open(self) -> IndexingApplication:
        if self._application is None:
            self._application = IndexingApplication(
                self._settings,
                describes=self._describes,
                lender=self._lender,
                configures_logging=self._configures_logging,
                for_run=False,
                in_background=self._in_background,
            )
        return self._application

    def _close_if_idle(self) -> None:
        keep_s = self._settings.memory.keep_alive_s
        if self._is_first or keep_s == FOREVER_S:
            return
        if time.monotonic() - self._worked_s >= keep_s:
            self._close()

    def _close(self) -> None:
        application, self._application = self._application, None
        if application is not None:
            application.close()


def _add(application: IndexingApplication, path: Path) -> Path:
    """Add a folder, and return its path; one that is known may be missing."""
    known = application.library.find_folder(path.expanduser().absolute())
    if known is not None and known[1] == "" and not known[0].path.exists():
        return known[0].path
    if path.expanduser().is_file():
        raise FolderError(f"Not a folder: {path}", hint="name folders to watch.")
    folder, below = application.library.add_for_scan(path)
    return folder.path / below


def _has_changed(report: RunReport) -> bool:
    """Return whether there may be work for the stages."""
    return any(
        scan.added or scan.changed or scan.moved or scan.sidecars_read or scan.sidecars_gone or scan.hashed
        for scan in report.scans
    )

"""Keeps the library up to date while a server runs: one thread that watches, scans and indexes its folders.

Owns when that happens and what a person wants of it. ``watching`` watches, ``indexing`` does the work.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from smallsight.errors import (
    LibraryBusyError,
    LibraryMissingError,
    ModelError,
    OutOfResourcesError,
    ServerStoppingError,
    SmallsightError,
)
from smallsight.lending.model_lender import ModelLender
from smallsight.library.library import FolderSummary
from smallsight.library.schema import folder
from smallsight.policy.log import get_logger
from smallsight.services.application import Application
from smallsight.services.finished_work import FinishedWork
from smallsight.services.keeper_state import KeeperProgress, KeeperSnapshot, KeeperState
from smallsight.services.live_settings import LiveSettings
from smallsight.services.opened_library import OpenedLibrary
from smallsight.settings import Settings

if TYPE_CHECKING:
    from smallsight.services.indexing import RunReport  # imports the models

log = get_logger(__name__)

_LOOK_S, _BUSY_RETRY_S, _RETRY_S = 5.0, 1.0, 60.0
_STOP_TIMEOUT_S = 6.0


@dataclass(eq=False, slots=True)
class _KeeperRequest:
    """What a person wants: a change of the folders, or a run over parts of them."""

    adds: Path | None = None
    removes: Path | None = None
    runs: tuple[Path, ...] = ()
    retries_failed: bool = False
    done: Future[FolderSummary] = field(default_factory=Future)

    @property
    def is_run(self) -> bool:
        """Whether it only starts a run."""
        return self.adds is None and self.removes is None


class LibraryKeeper:
    """The keeper of one server. All methods are thread-safe and none blocks, except ``stop``.

    Without a library it waits for one; it makes one only when a folder is added.
    """

    def __init__(
        self,
        live: LiveSettings,
        library: OpenedLibrary,
        lender: ModelLender,
        *,
        on_change: Callable[[], None],
        on_library: Callable[[], None],
    ) -> None:
        self._live, self._library, self._lender = live, library, lender
        self._progress = KeeperProgress(on_change, on_library)
        self._on_library = on_library
        self._requests: deque[_KeeperRequest] = deque()
        self._interrupt = threading.Event()
        self._is_closing = self._is_stopped = False
        self._failed_with: Settings | None = None  # with its models
        self._problem_with_model = ""
        self._retries_failed = self._scans_all = False
        self._watched: set[Path] = set()
        self._thread = threading.Thread(target=self._run, name="smallsight-keeper", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after what is being computed now; what is finished is kept."""
        self._is_closing = True
        self._interrupt.set()
        self._thread.join(_STOP_TIMEOUT_S)
        while self._requests:
            self._requests.popleft().done.set_exception(ServerStoppingError("The server is stopping."))

    def snapshot(self) -> KeeperSnapshot:
        """Return what is going on now."""
        waiting = tuple(one.adds for one in list(self._requests) if one.adds is not None)
        return replace(self._progress.snapshot(), waiting=waiting)

    def add_folder(self, path: Path) -> Future[FolderSummary]:
        """Add a folder and index it; the future is done once the folder is in the library."""
        return self._ask(_KeeperRequest(adds=path))

    def remove_folder(self, path: Path) -> Future[FolderSummary]:
        """Remove a folder from the library; the disk is left alone."""
        return self._ask(_KeeperRequest(removes=path))

    def scan(self, paths: Sequence[Path] = (), *, retries_failed: bool = False) -> None:
        """Scan parts of the library now, by default all folders, and do what is due."""
        self._ask(_KeeperRequest(runs=tuple(paths), retries_failed=retries_failed))

    def note_file(self, path: Path) -> None:
        """Index a file that this server has stored in a folder; a watch notices it anyway."""
        settings = self._live.current()
        is_noticed = settings.server.watch and not path.is_relative_to(settings.home.resolve())
        if not is_noticed and not self._is_stopped:
            self.scan((path,))

    def stop_run(self) -> None:
        """Stop what is being done, and do nothing until a person wants it again."""
        self._is_stopped = True
        for request in [one for one in self._requests if one.is_run]:
            self._take(request)
        self._progress.set_state(KeeperState.STOPPED)
        self._interrupt.set()

    def _ask(self, request: _KeeperRequest) -> Future[FolderSummary]:
        if self._is_closing:
            request.done.set_exception(ServerStoppingError("The server is stopping."))
            return request.done
        self._is_stopped = self._is_stopped and request.removes is not None
        self._requests.append(request)
        self._interrupt.set()
        return request.done

    def _take(self, request: _KeeperRequest) -> None:
        with suppress(ValueError):  # taken by another thread
            self._requests.remove(request)

    def _run(self) -> None:
        while True:
            self._interrupt.clear()
            if self._is_closing:
                return
            try:
                self._step()
            except LibraryBusyError as error:
                self._progress.set_state(KeeperState.WAITING, error.message)
                self._interrupt.wait(_BUSY_RETRY_S)
            except SmallsightError as error:
                if not self._is_closing:
                    log.error("library_not_kept", why=error.message)
                    self._progress.set_state(KeeperState.FAILED, error.message)
                self._interrupt.wait(_RETRY_S)
            except Exception:  # the boundary of the thread: pages still work
                log.exception("library_keeper_failed")
                self._progress.set_state(
                    KeeperState.FAILED, "Something unexpected happened; the log says what."
                )
                self._interrupt.wait(_RETRY_S)

    def _step(self) -> None:
        """Do the next request; without one, watch until there is one."""
        settings = self._live.current()
        if self._requests:
            self._perform(self._requests[0], settings)
            return
        folders = [] if self._is_stopped else self._folders()
        if folders and (settings.server.watch or self._scans_all):
            self._watch_or_scan(settings, folders)
            return
        self._progress.set_state(KeeperState.STOPPED if self._is_stopped else KeeperState.IDLE)
        self._interrupt.wait(_LOOK_S)

    def _perform(self, request: _KeeperRequest, settings: Settings) -> None:
        """Do one request; it stays the next one while another program is indexing."""
        if request.is_run:
            self._take(request)
            self._retries_failed |= request.retries_failed
            if request.runs and not settings.server.watch:
                self._index(settings, request)
            else:
                self._scans_all = True
            return
        try:
            with Application(
                settings, for_writing=True, for_run=True, configures_logging=False
            ) as application:
                if request.adds is not None:
                    summary = application.library.add_folder(request.adds)
                elif request.removes is not None:
                    summary = application.library.remove_folder(request.removes)
        except LibraryBusyError:
            raise
        except SmallsightError as error:
            self._take(request)
            request.done.set_exception(error)
            return
        self._take(request)
        request.done.set_result(summary)
        self._scans_all |= request.adds is not None
        self._on_library()

    def _watch_or_scan(self, settings: Settings, folders: list[Path]) -> None:
        if self._failed_with is not settings:  # they were read again since
            self._failed_with, self._problem_with_model = None, ""
        usable = settings if self._failed_with is None else _without_models(settings)
        try:
            if settings.server.watch:
                self._watch(usable, folders)
            else:
                self._index(usable, _KeeperRequest(retries_failed=self._retries_failed))
        except (ModelError, OutOfResourcesError) as error:
            if self._is_closing or self._failed_with is not None:
                raise
            log.error("indexing_without_models", why=error.message)
            self._failed_with, self._problem_with_model = settings, error.message

    def _watch(self, settings: Settings, folders: list[Path]) -> None:
        """Index what has changed in all folders, and watch them until there is a request."""
        from smallsight.services.watching import Watch  # noqa: PLC0415 - imports the models

        finished = FinishedWork(settings)
        is_finished = not self._scans_all and finished.holds(self._library.reading().database)
        self._watched = set(folders)
        rescan_s = 60 * settings.server.rescan_minutes
        self._progress.forget_problems()
        watch = Watch(
            settings,
            _Observer(self._progress, finished, self._interrupt, self._problem_with_model),
            retry_failed=self._retries_failed,
            has_work=not is_finished,
            rescan_s=rescan_s or None,
            lender=self._lender,
            configures_logging=False,
            in_background=True,
            on_idle=self._look_for_other_folders,
        )
        self._retries_failed = self._scans_all = False
        self._progress.set_state(KeeperState.WORKING)
        watch.run((), self._interrupt)

    def _index(self, settings: Settings, request: _KeeperRequest) -> None:
        """Index once, in a server that does not watch."""
        from smallsight.services.indexing import IndexingApplication  # noqa: PLC0415 - imports the models

        finished = FinishedWork(settings)
        with IndexingApplication(
            settings, lender=self._lender, configures_logging=False, in_background=True
        ) as application:
            self._progress.forget_problems()
            self._progress.set_state(KeeperState.WORKING)
            finished.forget()
            report = application.index(
                request.runs, self._progress, self._interrupt.is_set, retry_failed=request.retries_failed
            )
        self._progress.finish(report)
        if report.work.is_complete:
            finished.note()
            self._retries_failed = self._scans_all = False
        elif request.runs and not self._is_stopped:
            self._scans_all = True  # after the request that interrupted it

    def _folders(self) -> list[Path]:
        """Return the folders of the library; none if there is no library."""
        try:
            database = self._library.reading().database
        except LibraryMissingError:
            return []
        with database.reading() as connection:
            return [Path(one) for one in connection.execute(sa.select(folder.c.path)).scalars()]

    def _look_for_other_folders(self) -> None:
        """Start again when another program has added or removed folders."""
        if set(self._folders()) != self._watched:
            self._interrupt.set()


def _without_models(settings: Settings) -> Settings:
    """Return settings that neither describe nor tag: pictures can be found without."""
    return settings.model_copy(
        update={
            "describe": settings.describe.model_copy(update={"model": None}),
            "index": settings.index.model_copy(update={"tags": False}),
        }
    )


class _Observer:
    """Passes on what a watch reports. See ``WatchObserver``."""

    def __init__(
        self, progress: KeeperProgress, finished: FinishedWork, interrupt: threading.Event, message: str
    ) -> None:
        self._progress, self._finished, self._interrupt = progress, finished, interrupt
        self._message = message  # what is wrong all the time

    def begin_batch(self) -> KeeperProgress:
        """Note that there may be work."""
        self._finished.forget()
        self._progress.set_state(KeeperState.WORKING, self._message)
        return self._progress

    def indexed(self, report: RunReport) -> None:
        """Keep the results of a batch."""
        self._progress.finish(report)
        if not self._interrupt.is_set():
            if report.work.is_complete:
                self._finished.note()
            self._progress.set_state(KeeperState.WATCHING, self._message)

    def watching(self, folders: Sequence[Path], polled: Sequence[Path]) -> None:  # noqa: ARG002
        """Say that everything is done."""
        self._progress.set_state(KeeperState.WATCHING, self._message)

    def waiting(self, error: LibraryBusyError) -> None:
        """Say that another program is indexing."""
        self._progress.set_state(KeeperState.WAITING, error.message)

    def missing(self, folder: Path) -> None:
        """Note that a folder has gone."""
        self._progress.set_missing(folder, is_missing=True)

    def returned(self, folder: Path) -> None:
        """Note that it is there again."""
        self._progress.set_missing(folder, is_missing=False)

    def failed(self, error: SmallsightError, retry_s: float) -> None:  # noqa: ARG002 - said by the page
        """Say why a batch failed."""
        self._progress.set_state(KeeperState.FAILED, error.message)

    def polling(self, reason: str) -> None:
        """Say why folders are scanned at an interval."""
        self._progress.set_polling(reason)

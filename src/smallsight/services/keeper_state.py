"""What the library keeper is doing, as values that pages show, and the collector of its progress."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from smallsight.errors import SmallsightError
from smallsight.library.ledger import OutcomeStatus, StageName
from smallsight.library.progress import PictureChange

if TYPE_CHECKING:
    from smallsight.services.indexing import RunReport  # imports the models

_MAX_PROBLEMS = 200
_RATE_OVER_S = 20.0
_PAUSE_S = 0.2  # between two reports of a change, which many files can cause


class KeeperState(StrEnum):
    """What the keeper is doing."""

    IDLE = "idle"  # nothing to watch, or the setting server.watch is off
    WORKING = "working"
    WATCHING = "watching"
    WAITING = "waiting"  # another program is indexing
    STOPPED = "stopped"  # by a person
    FAILED = "failed"  # tried again after a while


@dataclass(frozen=True, slots=True)
class Activity:
    """One step of the work; the rate is in units a second, None at first."""

    title: str
    done: int
    total: int | None
    unit: str
    rate: float | None = None

    @property
    def left_s(self) -> float | None:
        """The seconds until it is done, as far as the rate tells."""
        if not self.rate or self.total is None:
            return None
        return max(0, self.total - self.done) / self.rate


@dataclass(frozen=True, slots=True)
class KeeperProblem:
    """What went wrong with one file or folder."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FolderResult:
    """The result of a folder's last scan that found something; ``at_s`` is in seconds since the epoch."""

    at_s: float
    found: int
    added: int
    changed: int
    moved: int
    vanished: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class KeeperSnapshot:
    """The keeper at one moment. ``message`` says why it waits or failed."""

    state: KeeperState = KeeperState.IDLE
    message: str = ""
    activity: Activity | None = None
    problems: tuple[KeeperProblem, ...] = ()
    results: Mapping[Path, FolderResult] = field(default_factory=dict)
    missing: frozenset[Path] = frozenset()
    polling: str = ""  # why folders are scanned at an interval
    waiting: tuple[Path, ...] = ()  # folders that are to be added once the keeper comes to it


class KeeperProgress:
    """Collects what a watch or a run reports; implements ``library.progress.Progress``. Thread-safe.

    ``on_change`` is called after changes of the snapshot, and ``on_library`` after changes of the library,
    a few times a second at most.
    """

    def __init__(self, on_change: Callable[[], None], on_library: Callable[[], None]) -> None:
        self._on_change, self._on_library = on_change, on_library
        self._turn = threading.Lock()
        self._now = KeeperSnapshot()
        self._problems: dict[str, KeeperProblem] = {}
        self._reached: deque[tuple[float, int]] = deque()
        self._told_s = self._told_news_s = 0.0
        self._has_untold_news = False

    def snapshot(self) -> KeeperSnapshot:
        """Return what is going on now."""
        with self._turn:
            return replace(self._now, problems=tuple(self._problems.values()))

    def set_state(self, state: KeeperState, message: str = "") -> None:
        """Say what the keeper is doing."""
        with self._turn:
            if (self._now.state, self._now.message) == (state, message):
                return
            self._now = replace(self._now, state=state, message=message)
        self._on_change()

    def set_waiting(self, folders: tuple[Path, ...]) -> None:
        """Say which folders are still to be added."""
        with self._turn:
            self._now = replace(self._now, waiting=folders)
        self._on_change()

    def set_missing(self, folder: Path, *, is_missing: bool) -> None:
        """Say that a folder is not there, or again."""
        with self._turn:
            others = self._now.missing - {folder}
            self._now = replace(self._now, missing=others | {folder} if is_missing else others)
        self._on_change()

    def set_polling(self, reason: str) -> None:
        """Say why folders are scanned at an interval."""
        with self._turn:
            self._now = replace(self._now, polling=reason)
        self._on_change()

    def forget_problems(self) -> None:
        """Forget the problems of earlier runs."""
        with self._turn:
            self._problems.clear()

    def begin(self, activity: str, total: int | None, unit: str) -> None:
        """Note the start of an activity."""
        if total == 0:
            return
        with self._turn:
            self._reached = deque([(time.monotonic(), 0)])
            self._now = replace(self._now, activity=Activity(activity, 0, total, unit))
        self._on_change()

    def advance(self, n: int = 1) -> None:
        """Count n more units."""
        now_s = time.monotonic()
        with self._turn:
            activity = self._now.activity
            if activity is None:
                return
            done = activity.done + n
            self._reached.append((now_s, done))
            while now_s - self._reached[0][0] > _RATE_OVER_S and len(self._reached) > 2:
                self._reached.popleft()
            begin_s, begin = self._reached[0]
            rate = (done - begin) / (now_s - begin_s) if now_s - begin_s > 1 else activity.rate
            self._now = replace(self._now, activity=replace(activity, done=done, rate=rate))
            is_due = now_s - self._told_s >= _PAUSE_S
            if is_due:
                self._told_s = now_s
        if is_due:
            self._on_change()

    def end(self) -> None:
        """Note the end of the activity."""
        with self._turn:
            self._now = replace(self._now, activity=None)
        self._on_change()
        self.tell_news()

    def problem(self, path: str, error: SmallsightError) -> None:
        """Keep what went wrong."""
        with self._turn:
            self._problems.pop(path, None)
            self._problems[path] = KeeperProblem(path, error.code, error.message)
            if len(self._problems) > _MAX_PROBLEMS:
                del self._problems[next(iter(self._problems))]

    def stored(self, content_id: int, stage: StageName, outcome: OutcomeStatus) -> None:  # noqa: ARG002
        """Note that more is known about a picture, which a search may find now."""
        self._note_news()

    def picture_changed(self, content_id: int | None, path: Path, change: PictureChange) -> None:  # noqa: ARG002
        """Note that the library has changed."""
        if content_id is not None:
            with self._turn:
                self._problems.pop(str(path), None)
        self._note_news()

    def tell_news(self) -> None:
        """Report changes of the library that have not been reported."""
        if self._has_untold_news:
            self._has_untold_news = False
            self._told_news_s = time.monotonic()
            self._on_library()

    def finish(self, report: RunReport) -> None:
        """Keep the results of a run."""
        now_s = time.time()
        results = dict(self._now.results)
        for scan in report.scans:
            counts = (scan.added, scan.changed, scan.moved, scan.vanished, scan.unreadable)
            if any(counts) or scan.folder not in results:
                results[scan.folder] = FolderResult(now_s, scan.found, *counts)
        with self._turn:
            self._now = replace(self._now, results=results, activity=None)
        self._on_change()
        self.tell_news()

    def _note_news(self) -> None:
        self._has_untold_news = True
        if time.monotonic() - self._told_news_s >= 5 * _PAUSE_S:
            self.tell_news()

"""Reports a run of ``index`` to a callback of a Python program, and collects its result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from smallsight.errors import SmallsightError
from smallsight.library.ledger import OutcomeStatus, StageName
from smallsight.library.progress import PictureChange
from smallsight.services.library_results import IndexProgress, IndexResult, SkippedPicture

if TYPE_CHECKING:
    from smallsight.services.indexing import RunReport  # imports the models


class CallbackProgress:
    """Implements ``library.progress.Progress``."""

    def __init__(self, on_progress: Callable[[IndexProgress], None] | None) -> None:
        self._on_progress = on_progress
        self._current = IndexProgress("", 0, None, "")
        self._problems: list[SkippedPicture] = []

    def begin(self, activity: str, total: int | None, unit: str) -> None:
        """Report the start of an activity."""
        self._report(IndexProgress(activity, 0, total, unit))

    def advance(self, n: int = 1) -> None:
        """Report n more units."""
        now = self._current
        self._report(IndexProgress(now.activity, now.done + n, now.total, now.unit))

    def end(self) -> None:
        """Do nothing: the last report of an activity has its final count."""

    def problem(self, path: str, error: SmallsightError) -> None:
        """Keep the error of one picture for the result."""
        self._problems.append(SkippedPicture(path, error))

    def stored(self, content_id: int, stage: StageName, outcome: OutcomeStatus) -> None:
        """Do nothing: progress counts pictures."""

    def picture_changed(self, content_id: int | None, path: Path, change: PictureChange) -> None:
        """Do nothing: the result counts changes."""

    def result(self, run: RunReport) -> IndexResult:
        """Return the result of the run that was reported."""
        scans = run.scans
        return IndexResult(
            found=sum(scan.found for scan in scans),
            added=sum(scan.added for scan in scans),
            changed=sum(scan.changed for scan in scans),
            moved=sum(scan.moved for scan in scans),
            vanished=sum(scan.vanished for scan in scans),
            problems=tuple(self._problems),
            missing_folders=tuple(run.missing),
            is_complete=run.work.is_complete and not run.missing,
        )

    def _report(self, progress: IndexProgress) -> None:
        self._current = progress
        if self._on_progress is not None:
            self._on_progress(progress)

"""Progress of work on a library for tests: one that shows nothing, and one that keeps the change feed."""

from __future__ import annotations

from pathlib import Path

from smallsight.errors import SmallsightError
from smallsight.library.ledger import OutcomeStatus, StageName
from smallsight.library.progress import PictureChange


class QuietProgress:
    """Keeps nothing; the base of recorders that keep one thing."""

    def begin(self, activity: str, total: int | None, unit: str) -> None: ...

    def advance(self, n: int = 1) -> None: ...

    def end(self) -> None: ...

    def problem(self, path: str, error: SmallsightError) -> None: ...

    def stored(self, content_id: int, stage: StageName, outcome: OutcomeStatus) -> None: ...

    def picture_changed(self, content_id: int | None, path: Path, change: PictureChange) -> None: ...


class ChangeFeed(QuietProgress):
    """Keeps every change in its order."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[int, str, str]] = []
        self.changes: list[tuple[int | None, str, str]] = []

    def stored(self, content_id: int, stage: StageName, outcome: OutcomeStatus) -> None:
        self.outcomes.append((content_id, str(stage), str(outcome)))

    def picture_changed(self, content_id: int | None, path: Path, change: PictureChange) -> None:
        self.changes.append((content_id, path.name, str(change)))

"""The reports of work on the library while it runs: progress, problems and changes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Protocol

from smallsight.errors import SmallsightError
from smallsight.library.ledger import OutcomeStatus, StageName


class PictureChange(StrEnum):
    """A change of one file that a scan found."""

    ADDED = "added"  # or a vanished file that has reappeared
    CHANGED = "changed"  # its bytes differ from before
    MOVED = "moved"  # follows ADDED for the same path, once a file with these bytes is known to be gone
    VANISHED = "vanished"


class Progress(Protocol):
    """Callbacks during work, in the thread that does it; they must return quickly and not raise.

    ``stored`` and ``picture_changed`` are the change feed: each is called once per change of the database,
    after the transaction has been committed.
    """

    def begin(self, activity: str, total: int | None, unit: str) -> None:
        """Start an activity of ``total`` units; None if the number is unknown."""
        ...

    def advance(self, n: int = 1) -> None:
        """Count n more units as done."""
        ...

    def end(self) -> None:
        """Finish the current activity."""
        ...

    def problem(self, path: str, error: SmallsightError) -> None:
        """Report a problem with one picture; the work continues."""
        ...

    def stored(self, content_id: int, stage: StageName, outcome: OutcomeStatus) -> None:
        """Report that a stage's outcome for a content and its result have been committed."""
        ...

    def picture_changed(self, content_id: int | None, path: Path, change: PictureChange) -> None:
        """Report that a scan has committed a change of the file at path; content_id is None if unreadable."""
        ...


class Unreported:
    """A ``Progress`` that reports nothing."""

    def begin(self, activity: str, total: int | None, unit: str) -> None:
        """Do nothing."""

    def advance(self, n: int = 1) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""

    def problem(self, path: str, error: SmallsightError) -> None:
        """Do nothing."""

    def stored(self, content_id: int, stage: StageName, outcome: OutcomeStatus) -> None:
        """Do nothing."""

    def picture_changed(self, content_id: int | None, path: Path, change: PictureChange) -> None:
        """Do nothing."""

"""What work on the library reports while it runs: how far it is, what went wrong, and what changed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Protocol

from smallsight.errors import SmallsightError
from smallsight.library.ledger import OutcomeStatus, StageName


class PictureChange(StrEnum):
    """What a scan found out about one file."""

    ADDED = "added"  # also a vanished file that is back
    CHANGED = "changed"  # it has other bytes than before
    MOVED = "moved"  # follows ADDED, of the same path, once a file with these bytes is known to be gone
    VANISHED = "vanished"


class Progress(Protocol):
    """Called as work goes on, in the thread that does it; must return soon and not raise.

    ``stored`` and ``picture_changed`` are the change feed: each is called once for what is in the database,
    after the transaction that put it there has been committed.
    """

    def begin(self, activity: str, total: int | None, unit: str) -> None:
        """Start an activity of ``total`` units; None when the number is not known."""
        ...

    def advance(self, n: int = 1) -> None:
        """Count n more units as done."""
        ...

    def end(self) -> None:
        """Finish the current activity."""
        ...

    def problem(self, path: str, error: SmallsightError) -> None:
        """Report what is wrong with one picture; the work goes on."""
        ...

    def stored(self, content_id: int, stage: StageName, outcome: OutcomeStatus) -> None:
        """Report that a stage's outcome for a content, and what it made, has been committed."""
        ...

    def picture_changed(self, content_id: int | None, path: Path, change: PictureChange) -> None:
        """Report that a scan has committed a change to the file at path; no content if it is unreadable."""
        ...

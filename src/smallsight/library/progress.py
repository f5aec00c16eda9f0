"""How long work tells somebody what it is doing."""

from __future__ import annotations

from typing import Protocol

from smallsight.errors import SmallsightError


class Progress(Protocol):
    """Told of each activity, its progress, and what went wrong with single pictures."""

    def begin(self, activity: str, total: int | None, unit: str) -> None:
        """Start an activity of so many units; None when nobody knows how many."""
        ...

    def advance(self, n: int = 1) -> None:
        """Count n more units as done."""
        ...

    def end(self) -> None:
        """Finish the current activity."""
        ...

    def problem(self, path: str, error: SmallsightError) -> None:
        """Say what is wrong with one picture; the work goes on."""
        ...


class SilentObserver:
    """Listens to nothing."""

    def begin(self, activity: str, total: int | None, unit: str) -> None:
        """Ignore it."""

    def advance(self, n: int = 1) -> None:
        """Ignore it."""

    def end(self) -> None:
        """Ignore it."""

    def problem(self, path: str, error: SmallsightError) -> None:
        """Ignore it."""

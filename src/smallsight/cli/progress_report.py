"""The interface through which long work reports its progress."""

from __future__ import annotations

from typing import Protocol


class ProgressBar(Protocol):
    """Receives the progress of one piece of work."""

    def advance(self, n: int = 1) -> None:
        """Count n more units as done."""
        ...

    def update(
        self, *, completed: int | None = None, total: int | None = None, description: str = ""
    ) -> None:
        """Set the given values; the others stay."""
        ...

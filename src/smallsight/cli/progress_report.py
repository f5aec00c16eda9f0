"""What long work needs to say how far it is, whatever shows it."""

from __future__ import annotations

from typing import Protocol


class ProgressBar(Protocol):
    """Where long work says how far it is."""

    def advance(self, n: int = 1) -> None:
        """Count n more units as done."""
        ...

    def update(
        self, *, completed: int | None = None, total: int | None = None, description: str = ""
    ) -> None:
        """Set what is given; leave the rest."""
        ...

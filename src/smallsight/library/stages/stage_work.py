"""The interface between the indexer and a stage."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Protocol

from smallsight.library.ledger import Stage
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Outcomes

CONTENTS_PER_LEASE = 16


class StageWork(Protocol):
    """One stage, or several that share their work."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages with their current keys, for the ledger."""
        ...

    @property
    def activity(self) -> str:
        """The name of the work, as shown to people."""
        ...

    @property
    def needs(self) -> Needs:
        """What it needs of a picture."""
        ...

    @property
    def holds_back(self) -> bool:
        """Whether it takes several contents before it yields the first one.

        No other stage follows it in a pass, because all the pictures it holds would have to be kept.
        """
        ...

    @property
    def contents_per_lease(self) -> int:
        """How many contents to lease at a time."""
        ...

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Yield every content once; those for which the stage is due after their outcome has been stored.

        Closing the generator stops the work. Errors of one picture are stored as outcomes; others are raised.
        """
        ...

"""What the indexer asks of a stage, whatever it does."""

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
        """The stages under the keys in force, as the ledger takes them."""
        ...

    @property
    def activity(self) -> str:
        """What to call it while it works, for a person."""
        ...

    @property
    def needs(self) -> Needs:
        """What it has to be given of a picture."""
        ...

    @property
    def holds_back(self) -> bool:
        """Whether it takes several contents before it lets the first one go.

        No other stage follows such a one in a pass, or all the pictures it holds would have to be kept.
        """
        ...

    @property
    def contents_per_lease(self) -> int:
        """How many contents to reserve at a time."""
        ...

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        """Yield every content once; those for which the stage is due after their outcome has been stored.

        Closing it ends the work. Errors about one picture are outcomes; others are raised.
        """
        ...

"""The protocol of a checkpoint as a source of weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from smallsight.quant.forms import Stored


class WeightSource(Protocol):
    """One checkpoint's weights as a family defines them."""

    @property
    def weight_files(self) -> tuple[Path, ...]:
        """The checkpoint's files."""
        ...

    @property
    def identity(self) -> str:
        """Identifies the network that the weights are for."""
        ...

    @property
    def stored_version(self) -> int:
        """Version of the stored form; a change makes existing bundles obsolete."""
        ...

    def store(self) -> Iterator[tuple[str, Stored]]:
        """Yield every weight in its stored form, by name."""
        ...

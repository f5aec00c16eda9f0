"""One model of this machine, as its name was resolved: its family, files and precisions.

Owns which precisions it can be loaded in. How much memory it needs is in ``footprint``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smallsight.catalog.entry import Entry, Precision
from smallsight.errors import ArgumentError

AUTO = "auto"
PRECISION_OF_FOLDERS = Precision.BF16  # what the catalogue's base models default to


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One model that can be loaded; the folder is None for a model without weights.

    ``entry`` is None for a folder that the catalogue does not know, ``is_named`` is false for one that has no
    name but its path. ``files_mark`` changes when a file in the folder does.
    """

    name: str
    family: str
    directory: Path | None
    entry: Entry | None = None
    files_mark: str = ""
    is_named: bool = True

    def precision(self, wanted: str = AUTO) -> Precision | None:
        """Return the precision to load it in, or None for a model without weights.

        Raises ArgumentError for an unknown precision, and for one that a variant does not offer.
        """
        chosen = parse_precision(wanted)
        if self.entry is None:
            return chosen or PRECISION_OF_FOLDERS
        if self.entry.precision is None:
            return None
        if self.entry.base is not None and chosen not in {None, *self.entry.precisions}:
            raise ArgumentError(
                f"{self.name} can only be loaded in {self.entry.precision.value}, not in {chosen}.",
                hint=f"load {self.entry.base} with that precision.",
            )
        return chosen or self.entry.precision


def parse_precision(wanted: str) -> Precision | None:
    """Return the precision of this name, or None for "auto"; raises ArgumentError for an unknown one."""
    if wanted == AUTO:
        return None
    try:
        return Precision(wanted)
    except ValueError as error:
        raise ArgumentError(
            f"Unknown precision {wanted!r}.",
            hint=f"use {', '.join([AUTO, *(p.value for p in Precision)])}.",
        ) from error

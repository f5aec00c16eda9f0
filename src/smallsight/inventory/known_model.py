"""One model of this machine, as its name was resolved: its family, files and precisions.

Owns which precisions and schemes it can be loaded in. How much memory it needs is in ``footprint``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from smallsight.catalog.entry import Entry, Precision
from smallsight.errors import ArgumentError
from smallsight.quant.scheme import Scheme

AUTO = "auto"
PRECISION_OF_FOLDERS = Precision.BF16  # what the catalogue's base models default to


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One model that can be loaded; the folder is None for a model without weights.

    ``entry`` is None for a folder that the catalogue does not know, ``is_named`` is false for one that has no
    name but its path. ``files_mark`` changes when a file in the folder does. ``scheme`` is set for a variant
    of the user's, and for a model that is loaded in a scheme.
    """

    name: str
    family: str
    directory: Path | None
    entry: Entry | None = None
    files_mark: str = ""
    is_named: bool = True
    scheme: Scheme | None = None

    def precision(self, wanted: str = AUTO) -> Precision | None:
        """Return the precision to load it in, or None for a model without weights.

        Raises ArgumentError for an unknown precision, and for one that a variant does not offer.
        """
        chosen = parse_precision(wanted)
        if self.scheme is not None:
            return self._precision_of_scheme(self.scheme, chosen)
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

    def precision_in_torch(self, wanted: str = AUTO) -> Precision | None:
        """Return the precision to load it in with the torch engine; raises as ``precision``.

        A row of the catalogue in 4 bits is NF4 there, the form of 4 bits that this engine has.
        """
        found = self.precision(wanted)
        is_variant = self.entry is not None and self.entry.base is not None and self.scheme is None
        return Precision.NF4 if is_variant and found is Precision.INT4 else found

    def in_scheme(self, scheme: Scheme) -> KnownModel:
        """Return the model as it is loaded in a scheme; raises ArgumentError where that is not possible."""
        if self.scheme is not None:
            raise ArgumentError(
                f"{self.name} already has the scheme {str(self.scheme)!r}.",
                hint="give its base model another one.",
            )
        if self.directory is None:
            raise ArgumentError(f"{self.name} has no weights for a scheme.", hint="use a real model.")
        self.precision(scheme.name)  # raises where it cannot be loaded in it
        return replace(self, scheme=scheme)

    def _precision_of_scheme(self, scheme: Scheme, chosen: Precision | None) -> Precision:
        own = Precision(scheme.name)
        if chosen not in {None, own}:
            raise ArgumentError(
                f"{self.name} can only be loaded in its scheme {str(scheme)!r}, not in {chosen}.",
                hint="load its base model with that precision.",
            )
        return own


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

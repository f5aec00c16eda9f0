"""Which verdict is shown for a model: that of its newest validation on this machine, else the catalogue's.

Reads only; ``verdict_keeping`` stores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Entry, Precision, Verdict
from smallsight.catalog.registered import RegisteredModels, RegisteredVariant
from smallsight.errors import SmallsightError
from smallsight.inventory.known_model import PRECISION_OF_FOLDERS
from smallsight.library.validations import StoredValidation, stored_validations
from smallsight.machine.processor import processor, usable_instruction_sets
from smallsight.quant.scheme import SCHEMES, parse_scheme
from smallsight.settings import Settings
from smallsight.version import __version__


@dataclass(frozen=True, slots=True)
class ModelVerdict:
    """A verdict; ``measured`` is the validation on this machine behind it, None for the catalogue's."""

    name: str
    verdict: Verdict
    measured: StoredValidation | None = None

    @property
    def is_doubtful(self) -> bool:
        """Whether the model should not become current without a person's confirmation."""
        return self.verdict is Verdict.DO_NOT_SHIP

    @property
    def quality(self) -> float | None:
        """The mean quality that was measured here, 0 to 1."""
        return None if self.measured is None else _mean(self.measured.summary, "quality")

    @property
    def num_pictures(self) -> int:
        """How many pictures were compared here."""
        number = 0 if self.measured is None else self.measured.summary.get("num_pictures", 0)
        return number if isinstance(number, int) else 0


class ModelVerdicts:
    """The verdicts of one moment, read from the library once."""

    def __init__(
        self,
        found: Iterable[StoredValidation],
        folders: Iterable[str] = (),
        variants: Iterable[RegisteredVariant] = (),
    ) -> None:
        """``found`` starts with the oldest, ``folders`` and ``variants`` are the user's own models."""
        self._folders = frozenset(name.casefold() for name in folders)
        self._schemes = {one.name.casefold(): _identity(one.scheme) for one in variants}
        self._by_form: dict[tuple[str, str | None], StoredValidation] = {}
        self._by_scheme: dict[tuple[str, str | None], StoredValidation] = {}
        self._by_name: dict[str, StoredValidation] = {}
        for one in found:
            name = one.model.casefold()
            self._by_name[name] = self._by_scheme[name, one.scheme] = one
            if _is_of_today(one):
                self._by_form[_files_name(one), one.precision] = one

    @classmethod
    def here(cls, settings: Settings) -> ModelVerdicts:
        """Read what was measured on this machine by this version; nothing without a library."""
        found = stored_validations(settings.database_path, __version__, machine_name())
        if not found:
            return cls(())
        registered = RegisteredModels(settings.models_path)
        return cls(found, (one.name for one in registered.all()), registered.variants())

    def of_entry(self, entry: Entry, precision: Precision | None = None) -> ModelVerdict:
        """Return the verdict of a model of the catalogue, in its default precision or another one.

        A variant and its base in that precision are the same.
        """
        chosen = precision or entry.precision
        base = load_catalog().base_of(entry)
        measured = self._by_form.get((base.name.casefold(), None if chosen is None else chosen.value))
        if measured is not None:
            return ModelVerdict(entry.name, Verdict(measured.verdict), measured)
        return ModelVerdict(entry.name, entry.verdict if chosen is entry.precision else Verdict.NOT_MEASURED)

    def of_name(self, name: str) -> ModelVerdict:
        """Return the verdict of any model as its name loads it."""
        entry = load_catalog().get(name)
        if entry is not None:
            return self.of_entry(entry)
        folded = name.casefold()
        if folded in self._folders:
            measured = self._by_form.get((folded, PRECISION_OF_FOLDERS.value))
        elif folded in self._schemes:
            measured = self._by_scheme.get((folded, self._schemes[folded]))
        else:  # a model on another server, or one that is no longer registered
            measured = self._by_name.get(folded)
        if measured is not None:
            return ModelVerdict(name, Verdict(measured.verdict), measured)
        return ModelVerdict(name, Verdict.NOT_MEASURED)


def _files_name(one: StoredValidation) -> str:
    """Return the folded name of the model whose files were loaded."""
    name = one.model
    if one.precision is not None and one.model == f"{one.base}-{one.precision}":
        name = one.base  # how a base is called in a precision in which the catalogue has no variant of it
    entry = load_catalog().get(name)
    return (name if entry is None else load_catalog().base_of(entry).name).casefold()


def _identity(scheme: str) -> str | None:
    """Return what determines the weights in a scheme, None for a text that this version does not know."""
    try:
        return parse_scheme(scheme).identity
    except SmallsightError:
        return None


def _is_of_today(one: StoredValidation) -> bool:
    """Return whether the weights were stored as this version stores them in that precision."""
    if one.scheme is None or one.precision is None:
        return True
    return one.precision in SCHEMES and SCHEMES[one.precision].identity == one.scheme


def machine_name(name: str | None = None, instruction_sets: tuple[str, ...] | None = None) -> str:
    """Return a processor and its instruction sets in one line, by default this machine's."""
    name = processor().name if name is None else name
    found = usable_instruction_sets() if instruction_sets is None else instruction_sets
    return f"{name} ({' '.join(found)})"


def _mean(summary: Mapping[str, object], metric: str) -> float | None:
    interval = summary.get(metric)
    mean = interval.get("mean") if isinstance(interval, dict) else None
    return mean if isinstance(mean, float | int) else None

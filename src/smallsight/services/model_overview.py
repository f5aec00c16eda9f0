"""Every model that a server could use, against this machine: memory in each precision, files, state.

Cheap enough to be called while a download reports its progress: sizes are computed once, files are looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Entry, Precision, Verdict
from smallsight.catalog.files import FoundFiles, ModelFiles
from smallsight.catalog.registered import RegisteredModel, RegisteredModels, RegisteredVariant
from smallsight.errors import SmallsightError
from smallsight.inventory.footprint import running_bytes, weights_bytes
from smallsight.inventory.listing import Fit
from smallsight.inventory.names import TEST_FAMILY, Names
from smallsight.inventory.served_models import ServedModel
from smallsight.lending.measured_memory import MeasuredMemory
from smallsight.machine.memory import usable_memory_bytes
from smallsight.services.model_downloads import Download, ModelDownloads
from smallsight.services.model_verdicts import ModelVerdict, ModelVerdicts
from smallsight.services.serving import Serving
from smallsight.settings import Settings

_COMFORTABLE_SHARE = 0.7  # of the memory; the rest is for the system and other programs


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model in one precision. ``name`` loads it in that precision if ``is_default``.

    ``is_measured`` is true where this machine has loaded it; otherwise its memory is computed. ``stage`` says
    whether it is in memory now: "loading", "ready", "unloading" or None.
    """

    name: str
    precision: Precision | None
    needed_bytes: int
    fit: Fit
    is_measured: bool
    is_default: bool
    is_current: bool
    describes: bool
    stage: str | None
    verdict: ModelVerdict

    @property
    def is_judged(self) -> bool:
        """Whether there is a verdict about it."""
        return self.verdict.verdict is not Verdict.NOT_MEASURED


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model with its variants, which share its files.

    ``entry`` is None for a folder of the user's, and for a variant that the user has saved.
    """

    name: str
    entry: Entry | None
    choices: tuple[ModelChoice, ...]
    files: FoundFiles | None
    download_bytes: int | None
    download: Download | None
    problem: str = ""
    variant: RegisteredVariant | None = None

    @property
    def is_here(self) -> bool:
        """Whether it can be used without a download."""
        return not self.problem and (self.files is not None or self.download_bytes is None)


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """What models may take: the memory of this machine, and the server's share of it for models."""

    machine_bytes: int
    budget_bytes: int

    @property
    def limit_bytes(self) -> int:
        """What a model can take at most."""
        return min(self.machine_bytes, self.budget_bytes)

    def fit(self, needed_bytes: int) -> Fit:
        """Return whether a model fits within both."""
        if needed_bytes > self.limit_bytes:
            return Fit.TOO_LARGE
        return Fit.FITS if needed_bytes <= self.machine_bytes * _COMFORTABLE_SHARE else Fit.TIGHT


@dataclass(frozen=True, slots=True)
class _LookedUp:
    """What one look at all models has read once: settings, files, what is loaded, and verdicts."""

    settings: Settings
    files: ModelFiles
    stages: dict[str, str]
    verdicts: ModelVerdicts


class ModelOverview:
    """Describes the models of one server. Thread-safe."""

    def __init__(self, serving: Serving, downloads: ModelDownloads) -> None:
        self._serving = serving
        self._downloads = downloads
        self._names = Names()
        self.limits = MemoryLimits(usable_memory_bytes(), serving.pool.policy.max_bytes)

    def cards(self) -> tuple[ModelCard, ...]:
        """Return the catalogue's models and the user's own; those here first, ``test`` last."""
        settings = self._serving.live.current()
        known = _LookedUp(settings, self._names.files(settings), self._stages(), ModelVerdicts.here(settings))
        cards = [*self._catalogued(known), *self._registered(known)]
        return tuple(sorted(cards, key=lambda card: (_is_test(card), not card.is_here)))

    def verdict_of(self, name: str) -> ModelVerdict:
        """Return the verdict of the model of this name; raises what ``ServedModels.find`` does."""
        return ModelVerdicts.here(self._serving.live.current()).of_name(self._serving.models.find(name).name)

    def here(self) -> tuple[str, ...]:
        """Return the names of the models that can answer now, those on other servers included."""
        return self._serving.models.names()

    def _catalogued(self, known: _LookedUp) -> Iterator[ModelCard]:
        catalog = load_catalog()
        for base in catalog.entries:
            if base.base is None:
                members = [base, *(one for one in catalog.entries if one.base == base.name)]
                yield self._card(base, members, known)

    def _card(self, base: Entry, members: list[Entry], known: _LookedUp) -> ModelCard:
        found = known.files.locate(base)
        choices = [
            self._choice(entry, precision, known, is_here=found is not None)
            for entry in members
            for precision in entry.precisions or (None,)
        ]
        return ModelCard(
            base.name, base, tuple(choices), found, _bytes_on_hub(base.name), self._downloads.find(base.name)
        )

    def _choice(
        self, entry: Entry, precision: Precision | None, known: _LookedUp, *, is_here: bool
    ) -> ModelChoice:
        settings = known.settings
        is_default = precision is entry.precision
        measured_bytes = self._measured_bytes(entry.name) if is_here and is_default else 0
        needed_bytes = measured_bytes or (0 if precision is None else _running_bytes(entry.name, precision))
        return ModelChoice(
            entry.name,
            precision,
            needed_bytes,
            self.limits.fit(needed_bytes),
            is_measured=bool(measured_bytes),
            is_default=is_default,
            is_current=is_default and _is_named(settings.active_model, entry.name),
            describes=is_default and _is_named(settings.describe.model, entry.name),
            stage=known.stages.get(entry.name) if is_default else None,
            verdict=known.verdicts.of_entry(entry, precision),
        )

    def _registered(self, known: _LookedUp) -> Iterator[ModelCard]:
        settings, catalog = known.settings, load_catalog()
        registered = RegisteredModels(settings.models_path)
        models: list[RegisteredModel | RegisteredVariant] = [*registered.all(), *registered.variants()]
        for own in models:
            if catalog.get(own.name) is not None:
                continue
            problem, needed_bytes = "", 0
            try:
                needed_bytes = self._serving.models.needed_bytes(
                    self._serving.models.find(own.name, here=True)
                )
            except SmallsightError as error:
                problem = error.message
            choice = ModelChoice(
                own.name,
                None,
                self._measured_bytes(own.name) or needed_bytes,
                self.limits.fit(needed_bytes),
                is_measured=bool(self._measured_bytes(own.name)),
                is_default=True,
                is_current=_is_named(settings.active_model, own.name),
                describes=_is_named(settings.describe.model, own.name),
                stage=known.stages.get(own.name),
                verdict=known.verdicts.of_name(own.name),
            )
            variant = own if isinstance(own, RegisteredVariant) else None
            yield ModelCard(own.name, None, (choice,), None, None, None, problem, variant)

    def _measured_bytes(self, name: str) -> int:
        """Return by how much loading and answering have grown the process, 0 if not measured."""
        try:
            served = self._serving.models.find(name, here=True)
        except SmallsightError:
            return 0
        return _grown_bytes(self._serving.measured, served)

    def _stages(self) -> dict[str, str]:
        return {one.name: one.stage for one in self._serving.pool.loaded()}


def _is_test(card: ModelCard) -> bool:
    return card.entry is not None and card.entry.family == TEST_FAMILY


def _grown_bytes(measured: MeasuredMemory, served: ServedModel) -> int:
    known = measured.find(served)
    if not known.loading_bytes:
        return 0
    return known.loading_bytes + max(known.first_answer_bytes, known.later_answer_bytes)


def _is_named(setting: str | None, name: str) -> bool:
    return setting is not None and setting.casefold() == name.casefold()


@cache
def _running_bytes(name: str, precision: Precision) -> int:
    return running_bytes(load_catalog().find(name), precision)


@cache
def _bytes_on_hub(name: str) -> int | None:
    entry = load_catalog().find(name)
    stored = entry.checkpoint_precision
    return None if entry.repository is None or stored is None else weights_bytes(entry, stored)

"""Wires an exploration: many schemes of one model, measured against one base, and the best one saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.checkpoint import open_checkpoint
from smallsight.catalog.entry import Verdict
from smallsight.catalog.registered import RegisteredVariant
from smallsight.errors import ModelError, SettingsError, StorageError
from smallsight.families.registry import find_family
from smallsight.inventory.footprint import weights_in_scheme
from smallsight.inventory.known_model import KnownModel
from smallsight.inventory.listing import ModelService
from smallsight.machine.private_files import make_private_folder
from smallsight.quant.exploring import SchemeToTry
from smallsight.quant.scheme import SCHEMES, parse_scheme, scheme_named
from smallsight.services.validating import (
    ValidationObserver,
    ValidationRequest,
    file_stem,
    validate,
    write_result,
)
from smallsight.services.verdict_keeping import keep_verdict
from smallsight.settings import Settings
from smallsight.validation.budget import Budget
from smallsight.validation.candidate_schemes import candidate_schemes, forms_text
from smallsight.validation.exploration import Exploration, ExploredScheme, explored_scheme
from smallsight.validation.measured_system import WantedSystem, resolve_explored
from smallsight.validation.pareto import best_within, candidates_of
from smallsight.validation.report import replace_file
from smallsight.validation.result import ValidationResult

__all__ = ["ExplorationRequest", "Explored", "explore", "save_scheme", "store_exploration"]


@dataclass(frozen=True, slots=True)
class ExplorationRequest:
    """What to explore: the schemes of the model that ``validation`` names; its variants are ignored.

    ``schemes`` are the only ones to try, as names of the usual ones or as text; without any, all that make
    sense for the model. ``budget`` is the most memory for the weights.
    """

    name: str
    validation: ValidationRequest
    schemes: tuple[str, ...] = ()
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Explored:
    """What was found: the result of each scheme by its name, and the best one within the budget, if any.

    ``model`` is the name or folder of the model that all are schemes of.
    """

    model: str
    exploration: Exploration
    results: dict[str, ValidationResult]
    best: ExploredScheme | None
    budget_bytes: int | None

    @property
    def shown(self) -> ValidationResult:
        """The result whose pictures the report shows: of the best scheme, else of the nearest to the base."""
        if self.best is not None:
            return self.results[self.best.name]
        return max(self.results.values(), key=lambda one: one.summary.quality.mean)


@contextmanager
def explore(
    request: ExplorationRequest, settings: Settings, observer: ValidationObserver
) -> Iterator[Explored]:
    """Measure the base once and every scheme against it, and yield what was found.

    What was measured is forgotten once the block has ended well. Raises SmallsightError.
    """
    base, model = resolve_explored(request.name, settings)
    against = request.validation.against
    if against is not None:
        base = replace(base, precision=against.precision or base.precision)
    tried = _candidates(request, base, model)
    variants = tuple(_variant(base.name, one) for one in tried)
    measured = replace(request.validation, variants=variants, against=base, is_trial=True)
    with validate(measured, settings, observer) as results:
        by_name = {one.name: result for one, result in zip(tried, results, strict=True)}
        exploration = _exploration(tried, by_name, model)
        budget_bytes = None
        if request.budget is not None:
            budget_bytes = request.budget.bytes_of(exploration.base_weights_bytes)
        yield Explored(base.name, exploration, by_name, _best(exploration, budget_bytes), budget_bytes)


def save_scheme(explored: Explored, name: str, settings: Settings) -> Explored:
    """Save the best scheme under a name of its own, with its verdict, and return what was found with it.

    Raises SettingsError if no scheme is the best, and what saving raises.
    """
    best = explored.best
    if best is None:
        raise SettingsError(
            "No scheme is good and small enough to be saved.", hint="allow a larger --budget."
        )
    saved = ModelService(settings).add_variant(name, explored.model, best.scheme)
    if best.scheme in SCHEMES:
        keep_verdict(settings, explored.results[best.name])
    result = _called(explored.results[best.name], saved)
    keep_verdict(settings, result)
    best = best.model_copy(update={"is_saved": True})
    schemes = tuple(best if one.name == best.name else one for one in explored.exploration.schemes)
    exploration = explored.exploration.model_copy(update={"schemes": schemes})
    return replace(
        explored, exploration=exploration, results=explored.results | {best.name: result}, best=best
    )


def store_exploration(
    explored: Explored, out: Path | None, settings: Settings, command: Sequence[str] = ()
) -> Path:
    """Write the report with its JSON files, keep the verdicts of int8 and int4, and return the report's file.

    Beside the report are the result of the best scheme, with the ending .json, the exploration, with the
    ending .exploration.json, and a folder with the result of every scheme. Raises StorageError and
    LibraryError.
    """
    title = f"{explored.exploration.base.name}-explored"
    path = write_result(explored.shown, title, out, settings, command, explored.exploration)
    twin, folder = path.with_suffix(".exploration.json"), path.with_suffix("")
    try:
        replace_file(twin, explored.exploration.model_dump_json(indent=1).encode())
        make_private_folder(folder.absolute())
        for name, result in explored.results.items():
            replace_file(folder / f"{file_stem(name)}.json", result.model_dump_json(indent=1).encode())
    except OSError as error:
        raise StorageError(
            f"{twin} cannot be written: {error.strerror or error}.", hint="choose another place with --out."
        ) from error
    for one in explored.exploration.schemes:
        if one.scheme in SCHEMES and not one.is_saved:
            keep_verdict(settings, explored.results[one.name])
    return path


def _candidates(
    request: ExplorationRequest, base: WantedSystem, model: KnownModel
) -> tuple[SchemeToTry, ...]:
    """Return the schemes to try; raises SettingsError for an unknown one, and ArgumentError."""
    model_types = load_catalog().model_types
    family = find_family(model.family)
    checkpoint = open_checkpoint(_folder(model), model_types)
    widths = {tensor.shape[-1] for tensor in checkpoint.tensors if len(tensor.shape) > 1}
    base_scheme = scheme_named(base.precision or "bf16")
    usual = candidate_schemes(
        family, base_scheme, widths, lambda scheme: weights_in_scheme(model, scheme, model_types)
    )
    if not request.schemes:
        return usual
    by_name = {one.name: one for one in usual}
    chosen = dict.fromkeys(request.schemes)
    return tuple(by_name.get(text) or SchemeToTry(text, parse_scheme(text), 0) for text in chosen)


def _variant(model: str, one: SchemeToTry) -> WantedSystem:
    text = str(one.scheme)
    if text in SCHEMES:
        return WantedSystem(model, precision=text)
    return WantedSystem(model, scheme=text, label=one.name)


def _exploration(
    tried: Sequence[SchemeToTry], results: dict[str, ValidationResult], model: KnownModel
) -> Exploration:
    """Return the schemes that were measured, and why others were not; raises ModelError if none was."""
    family = find_family(model.family)
    schemes, problems = [], {}
    for one in tried:
        result = results[one.name]
        if result.judgement.verdict is Verdict.NOT_MEASURED or result.variant.memory is None:
            problems[one.name] = next((picture.problem for picture in result.pictures if picture.problem), "")
            continue
        about = [forms_text(family.adapted(one.scheme)), *([one.note] if one.note else [])]
        schemes.append(explored_scheme(result, ". ".join(about), name=one.name, scheme=str(one.scheme)))
    if not schemes:
        raise ModelError("No scheme could be measured.", hint=next(iter(problems.values()), None))
    first = next(iter(results.values()))
    memory, speed = first.base.memory, first.base.speed
    return Exploration(
        measured_at=first.measured_at,
        machine=first.machine,
        picture_set=first.picture_set,
        base=first.base.system,
        base_weights_bytes=0 if memory is None else memory.weights_bytes,
        base_tokens_per_s=None if speed is None else speed.tokens_per_s,
        schemes=tuple(schemes),
        problems=problems,
    )


def _best(exploration: Exploration, budget_bytes: int | None) -> ExploredScheme | None:
    """Return the best scheme within a budget, None if there is none that may ship."""
    largest = max(one.weights_bytes for one in exploration.schemes)
    best = best_within(candidates_of(exploration), largest if budget_bytes is None else budget_bytes)
    return None if best is None else next(one for one in exploration.schemes if one.name == best.name)


def _called(result: ValidationResult, variant: RegisteredVariant) -> ValidationResult:
    """Return a result under the name of a saved variant."""
    system = result.variant.system.model_copy(update={"name": variant.name, "precision": None})
    side = result.variant.model_copy(update={"system": system})
    return result.model_copy(update={"variant": side})


def _folder(model: KnownModel) -> Path:
    if model.directory is None:
        raise ModelError(f"{model.name} has no weights.", hint="name another model.")
    return model.directory

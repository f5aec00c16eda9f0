"""``smallsight validate --explore``: measures many schemes of one model, prints them, and saves the best."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smallsight.cli.output import Output
from smallsight.errors import SettingsError
from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.cli.table import ListRow
    from smallsight.services.exploring import Explored
    from smallsight.services.validating import ValidationRequest
    from smallsight.validation.exploration import Exploration, ExploredScheme

_SHARES = (0.25, 0.5, 0.75)  # of the base's weights, for which the best scheme is named
_ON_FRONT = "*"


def explore_and_print(
    request: ValidationRequest,
    schemes: tuple[str, ...],
    budget: str | None,
    save: str | None,
    out_path: Path | None,
    out: Output,
) -> int:
    """Explore, store, save and print; return the exit code of the best scheme's verdict, or 130 on Ctrl-C.

    ``request`` names the model as its variant. Raises SmallsightError.
    """
    from smallsight.cli.validate import DO_NOT_SHIP, ValidationProgress, exit_code_of
    from smallsight.services.exploring import ExplorationRequest, explore, save_scheme, store_exploration
    from smallsight.services.logs import configure_logging
    from smallsight.settings import load_settings
    from smallsight.validation.budget import parse_budget

    _require_model_alone(request)
    wanted = ExplorationRequest(
        request.variants[0].name, request, schemes, None if budget is None else parse_budget(budget)
    )
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    observer = ValidationProgress(out)
    try:
        with observer.shown(), explore(wanted, settings, observer) as explored:
            found = explored
            if save is not None and explored.best is not None:
                found = save_scheme(explored, save, settings)
            stored = store_exploration(found, out_path, settings, ["smallsight", *sys.argv[1:]])
    except KeyboardInterrupt:
        out.note("[yellow]Stopped.[/] Everything finished is kept; run the same command again to continue.")
        return 130
    if out.json:
        out.emit(exploration_as_json(found, stored))
    else:
        print_exploration(out, found, save)
        out.note(f"\nThe report is in {on_one_line(stored)}")
    return DO_NOT_SHIP if found.best is None else exit_code_of(found.results[found.best.name])


def exploration_as_json(found: Explored, stored: Path) -> dict[str, Any]:
    """Return what was found as the documented JSON object."""
    from smallsight.validation.pareto import candidates_of, pareto_front

    return {
        **found.exploration.model_dump(mode="json"),
        "front": [one.name for one in pareto_front(candidates_of(found.exploration))],
        "budget_bytes": found.budget_bytes,
        "best": None if found.best is None else found.best.name,
        "report": str(stored),
    }


def _require_model_alone(request: ValidationRequest) -> None:
    wanted, against = request.variants[0], request.against
    if wanted.precision or wanted.engine or (against is not None and (against.name or against.engine)):
        raise SettingsError(
            "--explore tries precisions itself, in the usual engine, against the same model.",
            hint="leave out --precision, --engine, --against and --base-engine.",
        )


def print_exploration(out: Output, found: Explored, save: str | None = None) -> None:
    """Print every scheme, the largest first, and the best one, which was saved under the name ``save``."""
    from smallsight.cli.table import Column, print_table

    numbers = (
        Column(title, is_number=True)
        for title in ("Weights", "Of base", "Tokens/s", "KL, nats", "Quality", "Same answer")
    )
    columns = (Column("Scheme"), *numbers, Column("Verdict"))
    print_table(out, columns, list(_rows(found.exploration)))
    console = out.console
    console.print(f"{_ON_FRONT} no other scheme is both smaller and closer to the base", style="dim")
    for name, problem in found.exploration.problems.items():
        out.note_dimly(f"{on_one_line(name)} could not be measured: {on_one_line(problem)}")
    _print_best(out, found, save)


def _rows(exploration: Exploration) -> Iterator[ListRow]:
    from smallsight.cli.table import ListRow
    from smallsight.validation.pareto import candidates_of, pareto_front
    from smallsight.validation.shown_numbers import nats, share, size

    front = {one.name for one in pareto_front(candidates_of(exploration))}
    base_bytes = exploration.base_weights_bytes
    speed = exploration.base_tokens_per_s
    yield ListRow(
        (
            f"  base, {exploration.base.precision}",
            size(base_bytes),
            share(1.0),
            "" if speed is None else f"{speed.median:.1f}",
            *("",) * 4,
        )
    )
    for one in sorted(exploration.schemes, key=lambda one: -one.weights_bytes):
        summary = one.summary
        yield ListRow(
            (
                f"{_ON_FRONT if one.name in front else ' '} {one.name}",
                size(one.weights_bytes),
                share(one.weights_bytes / base_bytes) if base_bytes else "",
                "" if one.tokens_per_s is None else f"{one.tokens_per_s.median:.1f}",
                "" if summary.kl_nats is None else nats(summary.kl_nats.mean),
                share(summary.quality.mean),
                share(summary.exact.mean),
                _verdict_text(one),
            )
        )


def _print_best(out: Output, found: Explored, save: str | None) -> None:
    """Print the best scheme for several budgets, and how it can be saved."""
    from smallsight.cli.table import print_details
    from smallsight.validation.pareto import best_within, candidates_of
    from smallsight.validation.shown_numbers import share, size

    candidates, base_bytes = candidates_of(found.exploration), found.exploration.base_weights_bytes
    budgets = [(f"up to {share(one)} of the base", int(one * base_bytes)) for one in _SHARES]
    if found.budget_bytes is not None:
        budgets = [(f"up to {size(found.budget_bytes)}", found.budget_bytes)]
    choices = [(words, best_within(candidates, num_bytes)) for words, num_bytes in budgets]
    if found.budget_bytes is None:
        choices.append(("of any size", best_within(candidates, sys.maxsize)))
    out.console.print()
    print_details(
        out,
        [
            (f"best {words}", "none that may ship" if one is None else f"{one.name} ({size(one.num_bytes)})")
            for words, one in choices
        ],
    )
    best = found.best
    if best is None:
        return
    if best.is_saved and save is not None:
        out.note(f"\nSaved as {on_one_line(save)}: use it by this name, or forget it with")
        out.note_dimly(f"smallsight models remove {shlex.quote(save)}")
        return
    command = ["smallsight", "models", "add-variant", "NAME", "--base", found.model, "--scheme", best.scheme]
    out.note(f"\nTo save {best.name} under a name of your choice:")
    out.note_dimly(shlex.join(command))


def _verdict_text(one: ExploredScheme) -> str:
    verdict = one.judgement.verdict.value
    return verdict if one.judgement.is_decided else f"{verdict}, undecided"

"""``smallsight validate``: measures whether a variant of a model is good enough for a person's pictures."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from smallsight.cli.completion import model_names
from smallsight.cli.flags import JsonFlag, QuietFlag
from smallsight.cli.output import Output, get_output
from smallsight.errors import SettingsError

if TYPE_CHECKING:
    from smallsight.cli.progress_report import ProgressBar
    from smallsight.services.validating import ValidationPlan, ValidationRequest
    from smallsight.validation.measured_system import WantedSystem
    from smallsight.validation.result import ValidationResult

# Exit codes of verdicts; those of errors are below 10.
STABLE, EXPERIMENTAL, DO_NOT_SHIP, UNDECIDED = 0, 10, 11, 12
_MOST_TITLES = 3
_ROUNDS, _ROUNDS_OF_EXPLORING = 3, 1

_PrecisionName = Literal["fp32", "bf16", "fp16", "int8", "int4", "nf4"]  # fp16 and nf4 in torch
_EngineName = Literal["openvino", "kernels", "openvino-alone", "torch", "reference"]
_Variant = Annotated[
    str | None,
    typer.Argument(
        help="The variant: a model's name or folder, or ADDRESS#MODEL of a server.",
        metavar="VARIANT",
        autocompletion=model_names,
    ),
]
_Base = Annotated[
    str | None,
    typer.Option(
        "--against",
        help="The base to compare with, named like the variant; default: its base in the catalogue, or the "
        "same model in 16 bits.",
        metavar="BASE",
        autocompletion=model_names,
    ),
]
_PictureFolder = Annotated[
    Path | None, typer.Option("--pictures", help="The folder with pictures.", metavar="FOLDER")
]
_Examples = Annotated[bool, typer.Option("--examples", help="Use the example pictures.")]
_VariantPrecision = Annotated[
    _PrecisionName | None, typer.Option("--precision", help="Precision of the variant.")
]
_Schemes = Annotated[
    list[str] | None,
    typer.Option(
        "--scheme",
        help="Scheme of the variant: int4; text=int4-groups-32. With --explore the only ones to try "
        "(repeatable).",
        metavar="SCHEME",
    ),
]
_Compare = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--compare", help="Compare two stored results instead.", metavar="OLD.json NEW.json"),
]
_Explore = Annotated[
    bool, typer.Option("--explore", help="Try many schemes of the model, and name the best for its size.")
]
_BudgetText = Annotated[
    str | None,
    typer.Option(
        "--budget",
        help="With --explore: the most memory for the weights, such as 400MB, or 40% of the base's.",
        metavar="SIZE",
    ),
]
_Save = Annotated[
    str | None,
    typer.Option("--save", help="With --explore: save the best scheme under this name.", metavar="NAME"),
]
_BasePrecision = Annotated[
    _PrecisionName | None, typer.Option("--base-precision", help="Precision of the base.")
]
_VariantEngine = Annotated[_EngineName | None, typer.Option("--engine", help="Engine of the variant.")]
_BaseEngine = Annotated[_EngineName | None, typer.Option("--base-engine", help="Engine of the base.")]
_QuestionOption = Annotated[
    str | None,
    typer.Option("--question", "--prompt", help="What both are asked; default: to describe the picture."),
]
_PictureLimit = Annotated[
    int,
    typer.Option("--limit", min=1, max=10_000, help="Most pictures, spread evenly over the folder."),
]
_MaxTokens = Annotated[int, typer.Option("--max-tokens", min=2, max=1024, help="Longest answer, in tokens.")]
_Rounds = Annotated[
    int | None,
    typer.Option(
        "--rounds",
        min=1,
        max=20,
        help="How often the speed is measured, in turns; default: 3, or 1 with --explore.",
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Folder for the result, or its file; default: in the data folder.", metavar="PATH"
    ),
]
_Fresh = Annotated[bool, typer.Option("--fresh", help="Begin again, also if an earlier run was interrupted.")]


def validate(
    variant: _Variant = None,
    against: _Base = None,
    pictures: _PictureFolder = None,
    examples: _Examples = False,
    precision: _VariantPrecision = None,
    scheme: _Schemes = None,
    base_precision: _BasePrecision = None,
    engine: _VariantEngine = None,
    base_engine: _BaseEngine = None,
    question: _QuestionOption = None,
    limit: _PictureLimit = 64,
    max_tokens: _MaxTokens = 64,
    rounds: _Rounds = None,
    out_path: _Out = None,
    fresh: _Fresh = False,
    explore: _Explore = False,
    budget: _BudgetText = None,
    save: _Save = None,
    compare: _Compare = None,
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Compare a variant of a model with its base on your pictures. Memory, speed and quality count."""
    from smallsight.cli.compared_results import compare_files
    from smallsight.cli.exploring import explore_and_print
    from smallsight.services.validating import ValidationRequest
    from smallsight.validation.measured_system import WantedSystem

    out = get_output(json=json, quiet=quiet)
    if compare is not None:
        raise typer.Exit(compare_files(*compare, out))
    if variant is None:
        raise SettingsError("VARIANT is missing.", hint="name a model, such as SmolVLM-256M-Instruct-int8.")
    schemes = tuple(scheme or ())
    if not explore:
        _require_one_variant(schemes, budget, save)
    request = ValidationRequest(
        variants=(WantedSystem(variant, precision, schemes[0] if schemes else None, engine),),
        against=_base(against, base_precision, base_engine),
        pictures=_folder(pictures, is_examples=examples),
        question=question,
        limit=limit,
        max_tokens=max_tokens,
        num_rounds=rounds or (_ROUNDS_OF_EXPLORING if explore else _ROUNDS),
        is_fresh=fresh,
    )
    if explore:
        raise typer.Exit(explore_and_print(request, schemes, budget, save, out_path, out))
    raise typer.Exit(_run(request, out_path, out))


def _base(name: str | None, precision: str | None, engine: str | None) -> WantedSystem | None:
    """Return the base as far as it was named, None if it was not."""
    from smallsight.validation.measured_system import WantedSystem

    if name is None and precision is None and engine is None:
        return None
    return WantedSystem(name or "", precision, None, engine)


def _require_one_variant(schemes: Sequence[str], budget: str | None, save: str | None) -> None:
    """Raise SettingsError for options that only an exploration has."""
    only = {"--budget": budget, "--save": save, "--scheme several times": schemes[1:]}
    for name, given in only.items():
        if given:
            raise SettingsError(f"{name} needs --explore.", hint="add --explore, or leave it out.")


def _run(request: ValidationRequest, out_path: Path | None, out: Output) -> int:
    """Validate, store and print the result; return the exit code of the verdict, or 130 on Ctrl-C."""
    from smallsight.cli.validation_output import print_result
    from smallsight.services.logs import configure_logging
    from smallsight.services.validating import store_result, validate
    from smallsight.settings import load_settings

    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    observer = ValidationProgress(out)
    try:
        with observer.shown(), validate(request, settings, observer) as (result,):
            stored = store_result(result, out_path, settings, ["smallsight", *sys.argv[1:]])
    except KeyboardInterrupt:
        out.note("[yellow]Stopped.[/] Everything finished is kept; run the same command again to continue.")
        return 130
    if out.json:
        out.emit(result.model_dump(mode="json"))
    else:
        print_result(out, result, stored)
    return exit_code_of(result)


def exit_code_of(result: ValidationResult) -> int:
    """Return the exit code that says the verdict."""
    from smallsight.catalog.entry import Verdict

    if not result.judgement.is_decided:
        return UNDECIDED
    codes = {
        Verdict.STABLE: STABLE,
        Verdict.EXPERIMENTAL: EXPERIMENTAL,
        Verdict.DO_NOT_SHIP: DO_NOT_SHIP,
    }
    return codes.get(result.judgement.verdict, UNDECIDED)


class ValidationProgress:
    """Shows what a validation does."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._bar: ProgressBar | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show progress until the block ends."""
        with self._out.progress("Measuring", None, "steps") as bar:
            self._bar = bar
            yield

    def planned(self, plan: ValidationPlan) -> None:
        """Say what is going to be done."""
        num = len(plan.pictures.readable)
        titles = ", ".join(one.title for one in plan.variants)
        if len(plan.variants) > _MOST_TITLES:
            titles = f"{len(plan.variants)} schemes"
        of_all = f" of {plan.pictures.num_in_folder:,}" if plan.pictures.num_in_folder > num else ""
        self._out.note_dimly(
            f"{titles} against {plan.base.title}, {num:,}{of_all} pictures."
            + (
                f" Comparing tokens takes up to {plan.disk_bytes / 1e6:,.0f} MB of disk."
                * bool(plan.disk_bytes)
            )
            + (" Continuing an interrupted run." if plan.is_continued else "")
        )
        if self._bar is not None:
            self._bar.update(total=plan.num_pieces, completed=0)

    def doing(self, what: str) -> None:
        """Show what is being done."""
        if self._bar is not None:
            self._bar.update(description=what)

    def finished_piece(self) -> None:
        """Count a finished piece."""
        if self._bar is not None:
            self._bar.advance()


def _folder(pictures: Path | None, *, is_examples: bool) -> Path:
    from smallsight.services.example_pictures import shipped_pictures

    if is_examples and pictures is not None:
        raise SettingsError("--examples and --pictures contradict each other.", hint="leave one out.")
    if is_examples:
        return shipped_pictures()[0]
    if pictures is None:
        raise SettingsError(
            "--pictures is missing: a variant is good enough for certain pictures.",
            hint="name a folder with pictures of yours, or use the example pictures with --examples.",
        )
    return pictures

"""What ``smallsight validate`` prints: both sides, the quality, the worst pictures, the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.text import Text

from smallsight.catalog.entry import Verdict
from smallsight.cli.output import Output
from smallsight.cli.table import Column, ListRow, print_details, print_table
from smallsight.cli.units import counted, memory_text
from smallsight.policy.shown_text import on_one_line
from smallsight.validation.shown_numbers import share

if TYPE_CHECKING:
    from smallsight.validation.result import Interval, Judgement, PictureResult, Spread, ValidationResult

_NUM_WORST = 3
_STYLES = {
    Verdict.STABLE: "bold green",
    Verdict.EXPERIMENTAL: "bold yellow",
    Verdict.DO_NOT_SHIP: "bold red",
    Verdict.NOT_MEASURED: "bold",
}
_COLUMNS = (
    Column(""),
    Column("base", is_number=True),
    Column("variant", is_number=True),
    Column("change", is_number=True),
)


def print_result(out: Output, result: ValidationResult, stored: Path) -> None:
    """Print a result on standard output."""
    console = out.console
    print_table(out, _COLUMNS, [ListRow(cells) for cells in _sides(result)])
    console.print()
    print_details(out, _quality(result))
    for picture in worst_pictures(result):
        console.print()
        console.print(Text(on_one_line(picture.picture), style="bold"), soft_wrap=True)
        print_details(
            out,
            [
                ("base", on_one_line(picture.base_answer) or "-"),
                ("variant", on_one_line(picture.variant_answer) or "-"),
                *([("gibberish", ", ".join(picture.gibberish))] if picture.gibberish else []),
            ],
        )
    console.print()
    judgement = result.judgement
    console.print(Text.assemble("Verdict: ", (_words(judgement), _STYLES[judgement.verdict])))
    for reason in judgement.reasons:
        console.print(Text(reason), soft_wrap=True)
    out.note(f"\nThe report is in {escape(on_one_line(stored))}")


def worst_pictures(result: ValidationResult) -> list[PictureResult]:
    """Return the pictures whose answers differ most; none whose answers are equal."""
    different = [one for one in result.pictures if one.text is not None and not one.text.is_exact]
    return sorted(different, key=lambda one: (one.quality or 0.0, one.picture))[:_NUM_WORST]


def _sides(result: ValidationResult) -> Iterator[tuple[str, str, str, str]]:
    base, variant = result.base, result.variant
    if base.memory is not None and variant.memory is not None:
        for title, name in (
            ("weights", "weights_bytes"),
            ("memory, loaded", "loaded_bytes"),
            ("memory, peak", "peak_bytes"),
            ("private, peak", "private_peak_bytes"),
        ):
            before, after = getattr(base.memory, name), getattr(variant.memory, name)
            yield title, _memory(before), _memory(after), _change(before, after)
    if base.speed is None or variant.speed is None:
        return
    for title, name, unit in (
        ("load", "load_s", "s"),
        ("first token", "first_token_s", "s"),
        ("tokens", "tokens_per_s", "/s"),
        ("pictures", "pictures_per_min", "/min"),
    ):
        slow: Spread | None = getattr(base.speed, name)
        fast: Spread | None = getattr(variant.speed, name)
        if slow is not None and fast is not None:
            yield title, _spread(slow, unit), _spread(fast, unit), _change(slow.median, fast.median)


def _quality(result: ValidationResult) -> Iterator[tuple[str, str]]:
    summary = result.summary
    yield (
        "pictures",
        f"{counted(summary.num_pictures, 'picture')} compared"
        + (f", {summary.num_problems:,} with problems" if summary.num_problems else ""),
    )
    yield "quality", _share(summary.quality)
    yield "same answer", _share(summary.exact)
    if summary.agreement is not None and summary.kl_nats is not None:
        yield "same token", _share(summary.agreement)
        yield "KL divergence", _interval(summary.kl_nats, ".4g", " nats")
    yield "BLEU", _interval(summary.bleu, ".1f")
    yield "chrF", _interval(summary.chrf, ".1f")
    if summary.similarity is not None:
        yield "similarity", _interval(summary.similarity, ".3f")
    if summary.error_rate is not None:
        yield "character errors", _share(summary.error_rate)
    if summary.box_overlap is not None:
        yield "boxes", _share(summary.box_overlap)
    yield "gibberish", counted(summary.num_gibberish, "answer")


def _words(judgement: Judgement) -> str:
    return str(judgement.verdict) if judgement.is_decided else f"{judgement.verdict}, undecided"


def _memory(num_bytes: int) -> str:
    return memory_text(num_bytes) if num_bytes >= 100 * 1024**2 else f"{num_bytes / 1024**2:.1f} MiB"


def _spread(spread: Spread, unit: str) -> str:
    return f"{spread.median:.3g} {unit} ({spread.low:.3g} to {spread.high:.3g})"


def _change(before: float, after: float) -> str:
    return f"{100 * (after - before) / before:+.0f} %" if before else ""


def _share(interval: Interval) -> str:
    return f"{share(interval.mean)} ({share(interval.low)} to {share(interval.high)})"


def _interval(interval: Interval, form: str, unit: str = "") -> str:
    return f"{interval.mean:{form}}{unit} ({interval.low:{form}} to {interval.high:{form}})"

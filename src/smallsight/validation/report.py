"""Writes the report of a validation: one HTML file that needs nothing else, and its JSON twin beside it.

Whatever the page shows of pictures, answers and names comes from strangers: the template escapes all of it, a
policy in the page forbids scripts and requests, and the pictures are thumbnails that the sandbox has encoded.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from smallsight.catalog.entry import Verdict
from smallsight.machine.private_files import create_private_file
from smallsight.policy.shown_text import in_lines, on_one_line
from smallsight.validation import shown_numbers
from smallsight.validation.exploration import Exploration
from smallsight.validation.memory_explained import explain_memory
from smallsight.validation.pareto import best_for_budgets, candidates_of, pareto_front
from smallsight.validation.report_plots import (
    divergence_bars,
    divergence_pareto,
    module_plot,
    quality_histogram,
    quality_pareto,
)
from smallsight.validation.report_rows import key_numbers, memory_rows, quality_rows, speed_rows
from smallsight.validation.result import PictureResult, ValidationResult
from smallsight.validation.word_differences import Segment, word_differences

MAX_SHOWN = 500
MAX_THUMBNAILS_BYTES = 2_100_000  # in the file they take a third more
_TONES = {Verdict.STABLE: "good", Verdict.EXPERIMENTAL: "warn", Verdict.DO_NOT_SHIP: "bad"}
_SENTENCES = {
    Verdict.STABLE: "answers like its base: stable.",
    Verdict.EXPERIMENTAL: "often answers differently from its base: experimental.",
    Verdict.DO_NOT_SHIP: "does not answer like its base: do not ship it.",
    Verdict.NOT_MEASURED: "could not be measured.",
}
_SENTENCES_UNDECIDED = {
    Verdict.STABLE: "seems to answer like its base, but that is not certain.",
    Verdict.EXPERIMENTAL: "seems to be experimental, but that is not certain.",
    Verdict.DO_NOT_SHIP: "seems not to answer like its base, but that is not certain.",
}
_THUMBNAIL_TYPES = {b"RIFF": "image/webp", b"\xff\xd8\xff": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class _ShownPicture:
    """One picture of the report. ``thumbnail`` is a data URL, empty without one."""

    number: int
    result: PictureResult
    thumbnail: str
    base: tuple[Segment, ...]
    variant: tuple[Segment, ...]


def write_report(
    result: ValidationResult,
    pictures: Mapping[str, bytes],
    path: Path,
    *,
    exploration: Exploration | None = None,
    command: Sequence[str] = (),
) -> None:
    """Write the report to path, and the result as JSON beside it; both are replaced as a whole.

    ``pictures`` maps the paths of pictures to WebP or JPEG thumbnails that the sandbox has made, see
    ``report_thumbnails``; ``command`` repeats the measurement. Raises OSError.
    """
    text = report_html(result, pictures, exploration=exploration, command=command)
    replace_file(path.with_suffix(".json"), result.model_dump_json(indent=1).encode())
    replace_file(path, text.encode("utf-8", "replace"))


def report_html(
    result: ValidationResult,
    pictures: Mapping[str, bytes],
    *,
    exploration: Exploration | None = None,
    command: Sequence[str] = (),
) -> str:
    """Return the report as one HTML page."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    lines = _quality_thresholds(result)
    return (
        _environment()
        .get_template("report.html")
        .render(
            result=result,
            style=Markup(style),  # noqa: S704 - a file of this package
            style_digest=digest,
            tone=_TONES.get(result.judgement.verdict, ""),
            sentence=_sentence(result),
            key_numbers=key_numbers(result),
            memory_rows=memory_rows(result.base, result.variant),
            memory_sentences=explain_memory(result.base, result.variant),
            speed_rows=speed_rows(result.base.speed, result.variant.speed),
            quality_rows=quality_rows(result.summary),
            module_plot=module_plot(result.base.memory, result.variant.memory),
            histogram=quality_histogram(result.pictures, lines),
            divergence=divergence_bars(result.pictures),
            explored=None if exploration is None else _explored(exploration),
            shown=_shown_pictures(result.pictures, pictures),
            failed=[one for one in result.pictures if one.problem],
            num_answered=sum(not one.problem for one in result.pictures),
            command=command,
        )
    )


def replace_file(path: Path, data: bytes) -> None:
    """Write a file for this user only, all of it or nothing; raises OSError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        create_private_file(unfinished)
        unfinished.write_bytes(data)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _sentence(result: ValidationResult) -> str:
    verdict = result.judgement.verdict
    if not result.judgement.is_decided and verdict in _SENTENCES_UNDECIDED:
        return _SENTENCES_UNDECIDED[verdict]
    return _SENTENCES[verdict]


def _quality_thresholds(result: ValidationResult) -> tuple[float, ...]:
    """Return from where on a quality is experimental, and from where on it is stable."""
    thresholds = result.judgement.thresholds
    known = (thresholds.get("experimental_quality"), thresholds.get("stable_quality"))
    return tuple(one for one in known if one is not None)


def _shown_pictures(
    results: Iterable[PictureResult], pictures: Mapping[str, bytes]
) -> tuple[_ShownPicture, ...]:
    """Return the pictures with answers, worst first; thumbnails until they fill their share of the file."""
    answered = sorted((one for one in results if not one.problem), key=_badness, reverse=True)
    left_bytes = MAX_THUMBNAILS_BYTES
    shown = []
    for number, one in enumerate(answered[:MAX_SHOWN], 1):
        thumbnail = pictures.get(one.picture, b"")
        if len(thumbnail) > left_bytes:
            thumbnail = b""
        left_bytes -= len(thumbnail)
        segments = word_differences(in_lines(one.base_answer), in_lines(one.variant_answer))
        shown.append(
            _ShownPicture(
                number,
                one,
                _data_url(thumbnail),
                tuple(part for part in segments if part.share != "variant only"),
                tuple(part for part in segments if part.share != "base only"),
            )
        )
    return tuple(shown)


def _badness(one: PictureResult) -> tuple[bool, float, float]:
    quality = 1.0 if one.quality is None else one.quality
    return bool(one.gibberish), -quality, 0.0 if one.tokens is None else one.tokens.kl_nats


def _data_url(thumbnail: bytes) -> str:
    """Return an address that holds the picture; empty for what is neither WebP nor JPEG."""
    for start, media_type in _THUMBNAIL_TYPES.items():
        if thumbnail.startswith(start):
            return f"data:{media_type};base64,{base64.b64encode(thumbnail).decode()}"
    return ""


def _explored(exploration: Exploration) -> dict[str, object]:
    candidates = candidates_of(exploration)
    base_bytes = exploration.base_weights_bytes
    front = {one.name for one in pareto_front(candidates)}
    return {
        "value": exploration,
        "candidates": candidates,
        "front": front,
        "tones": _TONES,
        "budgets": best_for_budgets(candidates, base_bytes),
        "plots": [
            plot
            for plot in (quality_pareto(candidates, base_bytes), divergence_pareto(candidates, base_bytes))
            if plot is not None
        ],
    }


@cache
def _style() -> str:
    folder = resources.files("smallsight.validation").joinpath("templates")
    return folder.joinpath("report.css").read_text(encoding="utf-8")


def _visible(value: object) -> object:
    """Return a text with its control characters and turns of direction escaped; markup as it is."""
    return in_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("smallsight.validation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    made.filters.update(
        {
            name: getattr(shown_numbers, name)
            for name in ("size", "share", "seconds", "rate", "nats", "points", "signed")
        },
        on_one_line=on_one_line,
        quoted=shlex.quote,
    )
    made.globals.update(ends=shown_numbers.ends, share=shown_numbers.share)
    return made

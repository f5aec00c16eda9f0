"""Compares two results of validations, an old one and a new one: what changed, and what exceeds the noise.

Decides nothing about one variant alone; that is ``judging``.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ValidationError

from smallsight.catalog.entry import Verdict
from smallsight.errors import ArgumentError
from smallsight.validation.bootstrap import bootstrap_interval
from smallsight.validation.result import (
    FORMAT_VERSION,
    Interval,
    Machine,
    PictureResult,
    Side,
    Speed,
    Spread,
    Summary,
    ValidationResult,
)
from smallsight.validation.shown_numbers import change, ends, nats, points, rate, seconds, share, signed, size

__all__ = ["Change", "ResultComparison", "Trend", "compare_results", "read_result"]

_MAX_FILE_BYTES = 256 * 1024**2
_CONFIDENCE = 0.99  # of paired differences: a dozen metrics are compared at once
_MIN_PAIRS = 8
_MEMORY_NOISE, _WEIGHTS_NOISE, _SPEED_NOISE = 0.03, 0.005, 0.05  # smaller changes are none
_RANKS = {Verdict.DO_NOT_SHIP: 0, Verdict.EXPERIMENTAL: 1, Verdict.STABLE: 2}


class Trend(StrEnum):
    """What a change means: "noise" is too small to be told from chance, "unknown" cannot be compared."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"
    NOISE = "noise"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the comparison. ``counts`` is false for a metric that is shown but is no regression."""

    label: str
    before: str
    after: str
    change: str
    trend: Trend
    counts: bool = True


@dataclass(frozen=True, slots=True)
class ResultComparison:
    """Two results side by side. ``is_paired`` says whether both have the same pictures and questions."""

    old_name: str
    new_name: str
    is_paired: bool
    changes: tuple[Change, ...]
    notes: tuple[str, ...]

    @property
    def regressions(self) -> tuple[Change, ...]:
        """What became worse by more than the noise."""
        return tuple(one for one in self.changes if one.counts and one.trend is Trend.WORSE)

    @property
    def is_regression(self) -> bool:
        """Whether anything that counts became worse."""
        return bool(self.regressions)


class _Versioned(BaseModel):
    """Any version of a result."""

    format_version: object = None


def read_result(path: Path) -> ValidationResult:
    """Read a result's JSON file; raises ArgumentError for what is not one, or of another version."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_FILE_BYTES:
            raise ArgumentError(f"{path} is not a result of a validation.", hint="name its JSON file.")
        data = path.read_bytes()
    except OSError as error:
        raise ArgumentError(
            f"{path} cannot be read: {error.strerror}.", hint="name the JSON file of a validation."
        ) from error
    try:
        version = _Versioned.model_validate_json(data).format_version
        if version != FORMAT_VERSION:
            raise ArgumentError(
                f"{path} has format {version!r}, and this version of Smallsight reads {FORMAT_VERSION}.",
                hint="validate again with this version.",
            )
        return ValidationResult.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"{where}: {first['msg']}" if where else first["msg"]
        raise ArgumentError(
            f"{path} is not a result of a validation, or it is damaged ({what}).",
            hint="name the JSON file that `smallsight validate` has written.",
        ) from error


def compare_results(old: ValidationResult, new: ValidationResult) -> ResultComparison:
    """Return what changed from the old result's variant to the new one's, the verdict first.

    Quality exceeds the noise if a bootstrap of the differences picture by picture excludes 0, or, for other
    pictures, if the intervals do not overlap; speed if the ranges of the rounds do not overlap on the same
    machine; memory if it changed by more than measurements of the same model differ.
    """
    is_paired = old.picture_set == new.picture_set
    changes = (
        _verdict_change(old, new),
        *_quality_changes(old, new, is_paired=is_paired),
        *_memory_changes(old.variant, new.variant),
        *_speed_changes(old, new),
    )
    names = (old.variant.system.name, new.variant.system.name)
    return ResultComparison(*names, is_paired, changes, tuple(_notes(old, new, is_paired=is_paired)))


def _verdict_change(old: ValidationResult, new: ValidationResult) -> Change:
    before, after = old.judgement, new.judgement
    ranks = _RANKS.get(before.verdict), _RANKS.get(after.verdict)
    if ranks[0] is None or ranks[1] is None:
        trend = Trend.UNKNOWN
    elif ranks[0] == ranks[1]:
        trend = Trend.SAME
    elif not (before.is_decided and after.is_decided):
        trend = Trend.NOISE
    else:
        trend = Trend.BETTER if ranks[1] > ranks[0] else Trend.WORSE
    shown = [
        one.verdict.value if one.is_decided else f"{one.verdict.value}, not decided"
        for one in (before, after)
    ]
    return Change("verdict", shown[0], shown[1], "", trend)


@dataclass(frozen=True, slots=True)
class _ComparedMetric:
    """A mean over pictures: where it is in a summary and in a picture's scores.

    ``part`` is the field of the scores, empty for the picture itself. Differences up to ``tolerance``, for KL
    divergence a share of the old mean, are too small to matter, however certain.
    """

    label: str
    field: str
    part: str
    attribute: str
    show: Callable[[float], str]
    tolerance: float = 0.002
    is_more_better: bool = True
    counts: bool = True

    def of_summary(self, summary: Summary) -> Interval | None:
        """Return the mean, None if it was not measured."""
        found: Interval | None = getattr(summary, self.field)
        return found

    def of_picture(self, picture: PictureResult) -> float | None:
        """Return one picture's value, None if it has none."""
        scores = getattr(picture, self.part) if self.part else picture
        found = getattr(scores, self.attribute, None)
        return None if found is None else float(found)

    def matters(self, before: float, after: float) -> bool:
        """Return whether the difference of the means is large enough."""
        return abs(after - before) > (self.tolerance * before if self.show is nats else self.tolerance)


_METRICS = (
    _ComparedMetric("quality", "quality", "", "quality", share),
    _ComparedMetric("exact matches", "exact", "text", "is_exact", share, counts=False),
    _ComparedMetric("agreement", "agreement", "tokens", "agreement", share),
    _ComparedMetric("KL divergence", "kl_nats", "tokens", "kl_nats", nats, 0.05, is_more_better=False),
    _ComparedMetric("similarity", "similarity", "text", "similarity", share, counts=False),
    _ComparedMetric("chrF", "chrf", "text", "chrf", points, 0.2, counts=False),
    _ComparedMetric("BLEU", "bleu", "text", "bleu", points, 0.2, counts=False),
    _ComparedMetric("character error rate", "error_rate", "text", "error_rate", share, is_more_better=False),
    _ComparedMetric("box overlap", "box_overlap", "text", "box_overlap", share),
)


def _quality_changes(old: ValidationResult, new: ValidationResult, *, is_paired: bool) -> Iterator[Change]:
    for metric in _METRICS:
        before, after = metric.of_summary(old.summary), metric.of_summary(new.summary)
        if before is None or after is None:
            continue
        differences = _differences(old, new, metric.of_picture) if is_paired else []
        trend = _trend_of_means(before, after, differences, is_more_better=metric.is_more_better)
        if trend in {Trend.BETTER, Trend.WORSE} and not metric.matters(before.mean, after.mean):
            trend = Trend.NOISE
        difference = _shown_difference(before.mean, after.mean, metric.show)
        shown = [f"{metric.show(one.mean)} ({ends(one, metric.show)})" for one in (before, after)]
        yield Change(metric.label, shown[0], shown[1], difference, trend, metric.counts)
    yield _gibberish_change(old, new, is_paired=is_paired)


def _gibberish_change(old: ValidationResult, new: ValidationResult, *, is_paired: bool) -> Change:
    before, after = old.summary.num_gibberish, new.summary.num_gibberish
    trend = Trend.SAME if before == after else Trend.NOISE
    if is_paired and before != after:
        differences = _differences(old, new, _is_gibberish)
        means = Interval(mean=0, low=0, high=0)
        trend = _trend_of_means(means, means, differences, is_more_better=False)
    return Change("gibberish", str(before), str(after), _signed_count(after - before), trend)


def _is_gibberish(one: PictureResult) -> float | None:
    return None if one.problem else float(bool(one.gibberish) and not one.base_gibberish)


def _differences(
    old: ValidationResult, new: ValidationResult, of_picture: Callable[[PictureResult], float | None]
) -> list[float]:
    """Return new less old for each picture that has the number in both."""
    before = {(one.picture, one.sha256, one.question): of_picture(one) for one in old.pictures}
    found = []
    for one in new.pictures:
        value, earlier = of_picture(one), before.get((one.picture, one.sha256, one.question))
        if value is not None and earlier is not None:
            found.append(value - earlier)
    return found


def _trend_of_means(
    before: Interval, after: Interval, differences: list[float], *, is_more_better: bool
) -> Trend:
    if len(differences) >= _MIN_PAIRS:
        interval = bootstrap_interval(differences, confidence=_CONFIDENCE)
        if interval.low == interval.high == 0:
            return Trend.SAME
        is_up, is_down = interval.low > 0, interval.high < 0
    else:
        if before == after and not differences:
            return Trend.SAME
        is_up, is_down = after.low > before.high, after.high < before.low
    if not (is_up or is_down):
        return Trend.NOISE
    return Trend.BETTER if is_up is is_more_better else Trend.WORSE


def _memory_changes(old: Side, new: Side) -> Iterator[Change]:
    if old.memory is None or new.memory is None:
        return
    numbers = {
        "weights": (old.memory.weights_bytes, new.memory.weights_bytes, _WEIGHTS_NOISE),
        "loaded, private": (
            old.memory.private_loaded_bytes,
            new.memory.private_loaded_bytes,
            _MEMORY_NOISE,
        ),
        "peak of an answer, private": (
            old.memory.private_peak_bytes,
            new.memory.private_peak_bytes,
            _MEMORY_NOISE,
        ),
    }
    for label, (before, after, noise) in numbers.items():
        trend = Trend.SAME if before == after else Trend.NOISE
        if abs(after - before) > noise * before:
            trend = Trend.WORSE if after > before else Trend.BETTER
        yield Change(label, size(before), size(after), change(before, after), trend)


def _speed_changes(old: ValidationResult, new: ValidationResult) -> Iterator[Change]:
    before, after = old.variant.speed, new.variant.speed
    if before is None or after is None:
        return
    is_comparable = _place(old.machine) == _place(new.machine)
    kinds: list[tuple[str, str, Callable[[float], str], bool]] = [
        ("time to first token", "first_token_s", seconds, False),
        ("tokens per second", "tokens_per_s", rate, True),
        ("pictures per minute", "pictures_per_min", rate, True),
        ("load time", "load_s", seconds, False),
    ]
    for label, field, show, is_more_better in kinds:
        first, second = _spread(before, field), _spread(after, field)
        if first is None or second is None:
            continue
        trend = Trend.UNKNOWN
        if is_comparable:
            trend = _trend_of_spreads(first, second, is_more_better=is_more_better)
        shown = [f"{show(one.median)} ({ends(one, show)})" for one in (first, second)]
        # How long loading takes depends on what the system has cached.
        counts = field != "load_s"
        yield Change(label, shown[0], shown[1], change(first.median, second.median), trend, counts)


def _spread(speed: Speed, field: str) -> Spread | None:
    found: Spread | None = getattr(speed, field)
    return found


def _trend_of_spreads(before: Spread, after: Spread, *, is_more_better: bool) -> Trend:
    if before == after:
        return Trend.SAME
    if min(before.num, after.num) < 2 or abs(after.median - before.median) <= _SPEED_NOISE * before.median:
        return Trend.NOISE
    is_up, is_down = after.low > before.high, after.high < before.low
    if not (is_up or is_down):
        return Trend.NOISE
    return Trend.BETTER if is_up is is_more_better else Trend.WORSE


def _place(machine: Machine) -> tuple[object, ...]:
    return machine.processor, machine.instruction_sets, machine.num_threads


def _notes(old: ValidationResult, new: ValidationResult, *, is_paired: bool) -> Iterator[str]:
    if not is_paired:
        yield "The pictures or questions are not the same: means are compared, not picture by picture."
    if _place(old.machine) != _place(new.machine):
        yield "The machines are not the same: speed is shown, and not judged."
    bases = old.base.system, new.base.system
    if (bases[0].name, bases[0].precision, bases[0].key) != (bases[1].name, bases[1].precision, bases[1].key):
        yield "The bases are not the same: quality is measured against each result's own base."
    if old.max_tokens != new.max_tokens:
        yield f"The longest answers are not the same: {old.max_tokens} and {new.max_tokens} tokens."
    if new.summary.num_problems > old.summary.num_problems:
        failed, before = new.summary.num_problems, old.summary.num_problems
        yield f"{failed} picture{'s' * (failed != 1)} failed, {before or 'none'} did before."


def _shown_difference(before: float, after: float, show: Callable[[float], str]) -> str:
    """Return the difference of two means: points of a percentage or of a score, or a percentage of nats."""
    if show is nats:
        return change(before, after)
    if show is share:
        return f"{signed(100 * (after - before), '.1f')} points"
    return signed(after - before, ".1f")


def _signed_count(number: int) -> str:
    return signed(number, "d") if number else ""

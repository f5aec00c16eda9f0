"""The verdict about a variant: stable, experimental or do not ship, and whether the pictures decide it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from smallsight.catalog.entry import Verdict
from smallsight.validation.bootstrap import bootstrap_interval
from smallsight.validation.result import Interval, Judgement, Summary
from smallsight.validation_settings import ValidationSettings

__all__ = ["judge"]

_MIN_GIBBERISH = 2  # one answer may be the detector's mistake
_MOST_PICTURES = 100_000
_GROWTH = 1.02  # step of the search for enough pictures
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class _Evidence:
    """The intervals that decide, and the number of pictures behind them."""

    exact: Interval
    quality: Interval
    gibberish: Interval
    num_pictures: int

    def verdicts(self, thresholds: ValidationSettings) -> tuple[Verdict, Verdict, Verdict]:
        """Return the verdict of the means, and the worst and the best that the intervals allow."""
        return (
            self._verdict(thresholds, self.exact.mean, self.quality.mean, self.gibberish.mean),
            self._verdict(thresholds, self.exact.low, self.quality.low, self.gibberish.high),
            self._verdict(thresholds, self.exact.high, self.quality.high, self.gibberish.low),
        )

    def _verdict(
        self, thresholds: ValidationSettings, exact: float, quality: float, gibberish: float
    ) -> Verdict:
        if self.is_gibberish(thresholds, gibberish):
            return Verdict.DO_NOT_SHIP
        return _verdict_of(exact, quality, thresholds)

    def with_pictures(self, num_pictures: int) -> _Evidence:
        """Return what more pictures would probably show: intervals shrink with the root."""
        share = math.sqrt(self.num_pictures / num_pictures)
        return replace(
            self,
            exact=_narrowed(self.exact, share),
            quality=_narrowed(self.quality, share),
            gibberish=_narrowed(self.gibberish, share),
            num_pictures=num_pictures,
        )

    def is_gibberish(self, thresholds: ValidationSettings, share: float) -> bool:
        """Return whether a share of gibberish is too much for any verdict but the worst."""
        is_several = _reaches(share * self.num_pictures, _MIN_GIBBERISH)
        return is_several and share > thresholds.max_gibberish + _ROUNDING


def judge(summary: Summary, thresholds: ValidationSettings) -> Judgement:
    """Return the verdict of the means and whether it is decided; without pictures, nothing was measured.

    It is undecided if the ends of the 95 % intervals would get different verdicts, if there are fewer
    pictures than ``min_pictures``, or if more pictures failed than were compared.
    """
    limits = {name: float(value) for name, value in thresholds.model_dump().items()}
    num = summary.num_pictures
    if num == 0:
        reason = "No picture was answered by both models."
        return Judgement(verdict=Verdict.NOT_MEASURED, is_decided=False, reasons=(reason,), thresholds=limits)
    gibberish = [1.0] * summary.num_gibberish + [0.0] * (num - summary.num_gibberish)
    evidence = _Evidence(summary.exact, summary.quality, bootstrap_interval(gibberish), num)
    verdict, worst, best = evidence.verdicts(thresholds)
    reasons = _reasons(verdict, summary, evidence, thresholds)
    doubts = _spread_sentences(evidence, thresholds) if worst is not best else []
    if num < thresholds.min_pictures:
        were = "picture was" if num == 1 else "pictures were"
        doubts.append(f"Only {num} {were} compared; at least {thresholds.min_pictures} are needed.")
    if doubts:
        doubts.append(_enough_sentence(evidence, thresholds))
    if num_problems := summary.num_problems:
        sentence = f"{_count(num_problems, 'picture')} could not be compared"
        (doubts if num_problems > num else reasons).append(
            f"{sentence}, more than were." if num_problems > num else f"{sentence}."
        )
    return Judgement(verdict=verdict, is_decided=not doubts, reasons=(*reasons, *doubts), thresholds=limits)


def _reasons(
    verdict: Verdict, summary: Summary, evidence: _Evidence, thresholds: ValidationSettings
) -> list[str]:
    """Return sentences that derive the verdict from the means."""
    found = []
    if summary.num_gibberish:
        found.append(_gibberish_sentence(summary, thresholds))
        if evidence.is_gibberish(thresholds, evidence.gibberish.mean):
            return found
    exact = f"{_percent(summary.exact.mean)} of the answers equal the base's"
    quality = f"The mean quality is {_percent(summary.quality.mean)}"
    stable_exact, stable = _limit(thresholds.stable_exact), _limit(thresholds.stable_quality)
    lowest = _limit(thresholds.experimental_quality)
    if verdict is Verdict.STABLE:
        if _reaches(summary.exact.mean, thresholds.stable_exact):
            found.append(f"{exact}; {stable_exact} are enough.")
        if _reaches(summary.quality.mean, thresholds.stable_quality):
            found.append(f"{quality}; {stable} is enough.")
        return found
    found.append(f"{exact}; stable needs {stable_exact}.")
    if verdict is Verdict.EXPERIMENTAL:
        return [*found, f"{quality}: below {stable} for stable, at least {lowest} for experimental."]
    return [*found, f"{quality}; experimental needs {lowest}."]


def _gibberish_sentence(summary: Summary, thresholds: ValidationSettings) -> str:
    num, allowed = summary.num_gibberish, _limit(thresholds.max_gibberish)
    read, do = ("reads", "does") if num == 1 else ("read", "do")
    return (
        f"{_count(num, 'answer')} of {summary.num_pictures:,} {read} as gibberish where the base's {do} not "
        f"({allowed} are allowed)."
    )


def _verdict_of(exact: float, quality: float, thresholds: ValidationSettings) -> Verdict:
    if _reaches(exact, thresholds.stable_exact) or _reaches(quality, thresholds.stable_quality):
        return Verdict.STABLE
    if _reaches(quality, thresholds.experimental_quality):
        return Verdict.EXPERIMENTAL
    return Verdict.DO_NOT_SHIP


def _spread_sentences(evidence: _Evidence, thresholds: ValidationSettings) -> list[str]:
    """Return sentences that say which intervals leave the verdict open."""
    exact, quality, gibberish = evidence.exact, evidence.quality, evidence.gibberish
    worst = _verdict_of(exact.low, quality.low, thresholds)
    best = _verdict_of(exact.high, quality.high, thresholds)
    found = []
    if worst is not best:
        found.append(
            f"The pictures do not decide between {best} and {worst}: with 95 % confidence the mean quality "
            f"is {_percent(quality.low)} to {_percent(quality.high)}, and {_percent(exact.low)} to "
            f"{_percent(exact.high)} of the answers equal the base's."
        )
    if evidence.is_gibberish(thresholds, gibberish.high) and not evidence.is_gibberish(
        thresholds, gibberish.low
    ):
        found.append(
            f"With 95 % confidence {_percent(gibberish.low)} to {_percent(gibberish.high)} of the answers "
            f"are gibberish, and {_limit(thresholds.max_gibberish)} are allowed."
        )
    return found


def _enough_sentence(evidence: _Evidence, thresholds: ValidationSettings) -> str:
    num = max(evidence.num_pictures, thresholds.min_pictures)
    while num <= _MOST_PICTURES:
        _, worst, best = evidence.with_pictures(num).verdicts(thresholds)
        if worst == best:
            return f"About {_rounded_up(num):,} pictures would probably be enough."
        num = max(num + 1, math.ceil(num * _GROWTH))
    return f"Not even {_MOST_PICTURES:,} pictures would decide: the scores are too close to a threshold."


def _narrowed(interval: Interval, share: float) -> Interval:
    mean = interval.mean
    return Interval(
        mean=mean, low=mean - (mean - interval.low) * share, high=mean + (interval.high - mean) * share
    )


def _reaches(value: float, threshold: float) -> bool:
    return value >= threshold - _ROUNDING


def _rounded_up(num: int) -> int:
    """Return a number with two significant digits: more would claim to know."""
    unit = int(10 ** max(0, len(str(num)) - 2))
    return math.ceil(num / unit) * unit


def _percent(share: float) -> str:
    """Return a measured share in words, rounded down: 94.96 % must not read as the 95 % that it missed."""
    return f"{math.floor(share * 1000 + _ROUNDING) / 10:.1f} %"


def _limit(share: float) -> str:
    return f"{share * 100:g} %"


def _count(num: int, noun: str) -> str:
    return f"{num:,} {noun}" if num == 1 else f"{num:,} {noun}s"

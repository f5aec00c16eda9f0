"""The geometry of a report's plots, in units of their view boxes; its templates draw them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from smallsight.catalog.entry import Verdict
from smallsight.validation.memory_explained import module_groups
from smallsight.validation.pareto import Candidate, pareto_front
from smallsight.validation.plot_axis import Axis, Tick
from smallsight.validation.result import Memory, PictureResult
from smallsight.validation.shown_numbers import nats, size

WIDTH = 360
_NUM_BINS = 20
_MAX_BARS = 300
_MIN_RADIUS, _MAX_RADIUS = 6.0, 11.0
_MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; ``tone`` is the name of a colour."""

    x: float
    y: float
    width: float
    height: float
    text: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class ModulePlot:
    """For each module group two horizontal bars on a common scale, base above variant."""

    height: float
    labels: tuple[tuple[float, str], ...]
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many pictures have which number; ``lines`` are the thresholds."""

    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Tick, ...]
    bottom: float


@dataclass(frozen=True, slots=True)
class SortedBars:
    """One bar per picture, the highest first."""

    bars: tuple[Bar, ...]
    y_ticks: tuple[Tick, ...]
    bottom: float


@dataclass(frozen=True, slots=True)
class Marker:
    """A variant in a Pareto plot. ``low`` and ``high`` are the ends of its interval, None without one."""

    x: float
    y: float
    radius: float
    number: int
    name: str
    tone: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class ParetoPlot:
    """Variants by size and closeness to the base, with the front as the points of a line.

    ``base`` is where the base lies, None where the axis has no place for it.
    """

    markers: tuple[Marker, ...]
    front: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_title: str
    y_title: str
    bottom: float
    base: tuple[float, float] | None = None


def module_plot(base: Memory | None, variant: Memory | None) -> ModulePlot | None:
    """Return the weights by module group, None if one of the two was not measured."""
    if base is None or variant is None:
        return None
    before, after = module_groups(base.modules), module_groups(variant.modules)
    modules = dict.fromkeys((*before, *after))
    most = max((one.num_bytes for one in (*before.values(), *after.values())), default=0)
    if not most:
        return None
    axis = Axis(0, most, 0, WIDTH - 64)  # room for the text behind the longest bar
    bars, labels, y = [], [], 0.0
    for module in modules:
        old, new = before.get(module), after.get(module)
        labels.append((y + 11, (old or new).name.capitalize()))  # type: ignore[union-attr]
        for one, tone, offset in ((old, "base", 16), (new, "variant", 31)):
            num_bytes = 0 if one is None else one.num_bytes
            bars.append(Bar(0, y + offset, max(1.0, axis.at(num_bytes)), 13, size(num_bytes), tone))
        y += 54
    return ModulePlot(y - 6, tuple(labels), tuple(bars))


def quality_histogram(pictures: Iterable[PictureResult], lines: Sequence[float]) -> Histogram | None:
    """Return the pictures by quality, None without any; ``lines`` are the thresholds from bad to good."""
    qualities = [one.quality for one in pictures if one.quality is not None]
    if not qualities:
        return None
    counts = [0] * _NUM_BINS
    for quality in qualities:
        counts[min(_NUM_BINS - 1, max(0, int(quality * _NUM_BINS + 1e-9)))] += 1
    bottom = 132.0
    x_axis, y_axis = Axis(0, 1, 34, WIDTH - 8), Axis(0, max(counts), bottom, 12)
    step = (x_axis.end - x_axis.start) / _NUM_BINS
    bars = []
    for index, count in enumerate(counts):
        if count:
            middle = (index + 0.5) / _NUM_BINS
            tone = ("bad", "warn", "good")[min(2, sum(middle > line for line in lines))]
            top = y_axis.at(count)
            x = round(x_axis.start + index * step + 1, 1)
            bars.append(Bar(x, top, round(step - 2, 1), round(bottom - top, 1), str(count), tone))
    return Histogram(
        tuple(bars),
        x_axis.ticks(lambda one: f"{100 * one:.0f} %", 5),
        tuple(tick for tick in y_axis.ticks(lambda one: f"{one:g}", 3) if float(tick.text).is_integer()),
        tuple(Tick(x_axis.at(one), f"{100 * one:g} %") for one in lines),
        bottom,
    )


def divergence_bars(pictures: Iterable[PictureResult]) -> SortedBars | None:
    """Return the mean KL divergence of each picture, the highest first; None if none was measured.

    Of more pictures than bars fit, neighbours share one, the highest of them.
    """
    values = sorted((one.tokens.kl_nats for one in pictures if one.tokens is not None), reverse=True)
    if not values or values[0] <= 0:
        return None
    bottom = 150.0
    axis = Axis(0, values[0], bottom, 12)
    values = values[:: math.ceil(len(values) / _MAX_BARS)]  # the highest of each group
    step = (WIDTH - 42) / len(values)
    gap = min(2.0, step / 5)
    bars = tuple(
        Bar(
            round(34 + index * step, 2),
            axis.at(value),
            round(min(24.0, step - gap), 2),
            round(bottom - axis.at(value), 1),
            nats(value),
        )
        for index, value in enumerate(values)
    )
    return SortedBars(bars, axis.ticks(lambda one: f"{one:.3g}", 3), bottom)


def quality_pareto(candidates: Sequence[Candidate], base_bytes: int) -> ParetoPlot:
    """Return size against quality, with intervals."""
    lowest = min((one.quality.low for one in candidates), default=0.0)
    x_axis, bottom = _size_axis(candidates, base_bytes), 232.0
    y_axis = Axis(max(0.0, lowest - 0.05 * (1 - lowest) - 0.002), 1.0, bottom, 20)
    markers = _markers(candidates, x_axis, lambda one: y_axis.at(one.quality.mean))
    markers = tuple(
        replace(one, low=y_axis.at(candidate.quality.low), high=y_axis.at(candidate.quality.high))
        for one, candidate in zip(markers, candidates, strict=True)
    )
    plot = _pareto_plot(candidates, markers, x_axis, y_axis.ticks(_percent), "quality", bottom)
    return replace(plot, base=(x_axis.at(base_bytes / _MIB), y_axis.at(1.0)))


def divergence_pareto(candidates: Sequence[Candidate], base_bytes: int) -> ParetoPlot | None:
    """Return size against KL divergence, logarithmic, low values at the top; None if one was not measured."""
    values = [one.divergence for one in candidates if one.divergence is not None]
    if len(values) < len(candidates) or not any(one > 0 for one in values):
        return None
    lowest = min(one for one in values if one > 0)
    x_axis, bottom = _size_axis(candidates, base_bytes), 232.0
    y_axis = Axis(lowest / 1.6, max(values) * 1.6, 20, bottom, is_logarithmic=True)
    markers = _markers(candidates, x_axis, lambda one: y_axis.at(one.divergence or 0.0))
    ticks = y_axis.ticks(lambda one: f"{one:g}")
    return _pareto_plot(candidates, markers, x_axis, ticks, "KL divergence, nats", bottom)


def _size_axis(candidates: Sequence[Candidate], base_bytes: int) -> Axis:
    """Return an axis in MiB, on which ticks are round."""
    sizes = [one.num_bytes / _MIB for one in candidates] + [base_bytes / _MIB]
    low, high = min(sizes), max(sizes)
    margin = 0.08 * (high - low) or 0.1 * high
    return Axis(max(0.0, low - margin), high + margin / 2, 44, WIDTH - 8)


def _markers(
    candidates: Sequence[Candidate], x_axis: Axis, y_of: Callable[[Candidate], float]
) -> tuple[Marker, ...]:
    fastest = max((one.tokens_per_s or 0.0 for one in candidates), default=0.0)
    tones = {Verdict.STABLE: "good", Verdict.EXPERIMENTAL: "warn", Verdict.DO_NOT_SHIP: "bad"}
    return tuple(
        Marker(
            x_axis.at(one.num_bytes / _MIB),
            y_of(one),
            _radius(one.tokens_per_s, fastest),
            number,
            one.name,
            tones.get(one.verdict, ""),
        )
        for number, one in enumerate(candidates, 1)
    )


def _radius(tokens_per_s: float | None, fastest: float) -> float:
    """Return a radius whose area grows with the speed."""
    if not tokens_per_s or not fastest:
        return _MIN_RADIUS
    return round(max(_MIN_RADIUS, _MAX_RADIUS * math.sqrt(tokens_per_s / fastest)), 1)


def _pareto_plot(
    candidates: Sequence[Candidate],
    markers: tuple[Marker, ...],
    x_axis: Axis,
    y_ticks: tuple[Tick, ...],
    y_title: str,
    bottom: float,
) -> ParetoPlot:
    place = {id(one): marker for one, marker in zip(candidates, markers, strict=True)}
    front = [place[id(one)] for one in pareto_front(candidates)]
    return ParetoPlot(
        markers,
        " ".join(f"{one.x},{one.y}" for one in front),
        x_axis.ticks(lambda one: f"{one:g} MiB", 4),
        y_ticks,
        "size of the weights",
        y_title,
        bottom,
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"

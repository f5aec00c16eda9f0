"""Axes of plots: which numbers get a tick, and where a number lies on the axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis with its text."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    """Numbers from ``low`` to ``high`` on coordinates from ``start`` to ``end``, which may be reversed."""

    low: float
    high: float
    start: float
    end: float
    is_logarithmic: bool = False

    def at(self, number: float) -> float:
        """Return the coordinate of a number; one outside the axis gets the nearest end."""
        low, high, number = (self._position(one) for one in (self.low, self.high, number))
        fraction = 0.5 if high == low else min(1.0, max(0.0, (number - low) / (high - low)))
        return round(self.start + fraction * (self.end - self.start), 1)

    def ticks(self, show: Callable[[float], str], num_wanted: int = 4) -> tuple[Tick, ...]:
        """Return ticks at round numbers."""
        return tuple(Tick(self.at(one), show(one)) for one in self._round_numbers(num_wanted))

    def _position(self, number: float) -> float:
        return math.log10(max(number, self.low)) if self.is_logarithmic else number

    def _round_numbers(self, num_wanted: int) -> Sequence[float]:
        if self.is_logarithmic:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            stride = max(1, math.ceil((last - first + 1) / (num_wanted + 1)))
            return [10.0**power for power in range(first, last + 1, stride)]
        if self.high <= self.low:
            return [self.low]
        rough = (self.high - self.low) / num_wanted
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * one for one in _STEPS if unit * one >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(step * index, 12) for index in range(first, last + 1)]

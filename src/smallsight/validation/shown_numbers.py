"""Formats the numbers of a validation for its report: sizes, shares, times and changes."""

from __future__ import annotations

import math
from collections.abc import Callable

from smallsight.validation.result import Interval, Spread

_KIB = 1024
_ROUNDING = 1e-9
_MINUS = "\N{MINUS SIGN}"


def size(num_bytes: float) -> str:
    """Format an amount of memory with three digits: ``512 KiB``, ``63.9 MiB``, ``1.24 GiB``."""
    amount, unit = num_bytes / _KIB, "KiB"
    for larger in ("MiB", "GiB"):
        if abs(amount) < 1000:
            break
        amount, unit = amount / _KIB, larger
    return f"{_three_digits(amount)} {unit}"


def share(fraction: float) -> str:
    """Format a fraction as a percentage, rounded down: 94.96 % must not read as the 95 % that it missed."""
    if fraction >= 1:
        return "100 %"
    return f"{math.floor(1000 * fraction + _ROUNDING) / 10:.1f} %"


def seconds(duration_s: float) -> str:
    """Format a duration: ``340 ms``, ``2.51 s``, ``84.0 s``."""
    return f"{1000 * duration_s:.0f} ms" if duration_s < 1 else f"{_three_digits(duration_s)} s"


def rate(per_unit: float) -> str:
    """Format a number per second or minute with three digits."""
    return _three_digits(per_unit)


def nats(divergence: float) -> str:
    """Format a KL divergence: two significant digits, and 0 only for exactly nothing."""
    return "0" if divergence == 0 else f"{divergence:.2g}"


def points(score: float) -> str:
    """Format BLEU or chrF, 0 to 100."""
    return f"{score:.1f}"


def change(before: float, after: float) -> str:
    """Format by how much a number has changed: a percentage, or "same" below 0.05 %; empty without a base."""
    if before <= 0:
        return ""
    percent = 100 * (after - before) / before
    if abs(percent) < 0.05:
        return "same"
    return signed(percent, f".{0 if abs(percent) >= 10 else 1}f") + " %"


def signed(number: float, form: str) -> str:
    """Format a number with its sign, with the sign that typography wants, and none for zero."""
    text = format(abs(number), form)
    if not any(one in "123456789" for one in text):
        return text
    return f"+{text}" if number > 0 else f"{_MINUS}{text}"


def ends(measured: Spread | Interval, show: Callable[[float], str]) -> str:
    """Format the lower and the upper end of several measurements, or of an interval."""
    low, high = show(measured.low), show(measured.high)
    if low == high:
        return low
    number, _, unit = low.partition(" ")
    if unit and high.endswith(f" {unit}"):
        low = number
    return f"{low} \N{EN DASH} {high}".replace(" ", "\N{NO-BREAK SPACE}")


def _three_digits(number: float) -> str:
    magnitude = abs(number)
    return f"{number:.{0 if magnitude >= 99.95 else 1 if magnitude >= 9.995 else 2}f}"

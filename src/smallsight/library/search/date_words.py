"""Reads the dates that people type in searches: ``2024``, ``2024-05``, ``2024-05-03``, ``today``."""

from __future__ import annotations

import re
from calendar import isleap, monthrange
from dataclasses import dataclass
from datetime import date, timedelta

__all__ = ["DateSpan", "parse_span"]

_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)
_EPOCH = date(1970, 1, 1)
_S_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class DateSpan:
    """Wall-clock times from ``start_s`` until just before ``end_s``; None is open."""

    start_s: float | None = None
    end_s: float | None = None


def parse_span(text: str, today: date) -> DateSpan | None:
    """Return the year, month or day that a text names; None if it names none."""
    folded = text.strip().casefold()
    if folded in ("today", "yesterday"):
        return _days(today - timedelta(days=folded == "yesterday"), 1)
    found = _DATE.fullmatch(folded)
    if found is None:
        return None
    year, month, day = (None if part is None else int(part) for part in found.groups())
    try:
        first = date(year or 0, 1 if month is None else month, 1 if day is None else day)
    except ValueError:
        return None
    if day is not None:
        return _days(first, 1)
    if month is not None:
        return _days(first, monthrange(first.year, month)[1])
    return _days(first, 366 if isleap(first.year) else 365)


def _days(first: date, num_days: int) -> DateSpan:
    start_s = (first - _EPOCH).days * _S_PER_DAY
    return DateSpan(start_s, start_s + num_days * _S_PER_DAY)

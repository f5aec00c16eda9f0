"""How values are shown on pages: dates, sizes, durations, names of files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from smallsight.policy.clock_text import clock_text
from smallsight.web.languages import current_language, translate

_MONTHS = "January February March April May June July August September October November December".split()
_KIB = 1024.0


def shown_date(wall_s: float | None) -> str:
    """Return the day of a time, which is wall-clock seconds since 1970, such as "3 May 2023"."""
    if (moment := _moment(wall_s)) is None:
        return ""
    dot = "." if current_language.get() == "de" else ""
    return f"{moment.day}{dot} {month_name(moment.month)} {moment.year}"


def short_date(wall_s: float | None) -> str:
    """Return the day in little room, such as "3 May 2023" or "28 Nov 2026"."""
    if (moment := _moment(wall_s)) is None:
        return ""
    dot = "." if current_language.get() == "de" else ""
    name = month_name(moment.month)
    return f"{moment.day}{dot} {name if len(name) <= 4 else name[:3]} {moment.year}"


def shown_time(wall_s: float | None) -> str:
    """Return day and time, such as "3 May 2023, 14:05"."""
    moment = _moment(wall_s)
    return "" if moment is None else f"{shown_date(wall_s)}, {moment:%H:%M}"


def local_time(epoch_s: float) -> str:
    """Return a moment in the local time of this machine, such as "3 May 2023, 14:05"."""
    try:
        offset = datetime.fromtimestamp(epoch_s).astimezone().utcoffset()
    except (OverflowError, OSError, ValueError):
        return ""
    return shown_time(epoch_s + (offset.total_seconds() if offset is not None else 0))


def iso_date(wall_s: float | None) -> str:
    """Return the day for machines, such as 2023-05-03."""
    moment = _moment(wall_s)
    return "" if moment is None else f"{moment:%Y-%m-%d}"


def month_name(month: int) -> str:
    """Return the name of a month, 1 to 12, in the current language."""
    return translate(_MONTHS[month - 1])


def shown_bytes(num_bytes: int) -> str:
    """Return a size with its unit, such as "1.4 MiB"."""
    size = float(num_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < _KIB:
            return f"{_decimal(size, 0 if unit == 'B' else 1)} {unit}"
        size /= _KIB
    return f"{_decimal(size, 1)} GiB"


def shown_duration(seconds: float) -> str:
    """Return a duration as people say it, such as "about 19 min"."""
    if seconds < 60:
        return translate("{number} s", number=max(1, round(seconds)))
    if seconds < 90 * 60:
        return translate("about {number} min", number=round(seconds / 60))
    return translate("about {number} h", number=_decimal(seconds / 3600, 1))


def shown_rate(per_s: float) -> str:
    """Return a number of things per second, such as "12" or "0.4"."""
    return _decimal(per_s, 0 if per_s >= 10 else 1)


def shown_percent(fraction: float | None) -> str:
    """Return a share such as "98.3 %"; only the whole is 100 %."""
    if fraction is None:
        return ""
    return "100 %" if fraction >= 1 else f"{_decimal(min(100 * fraction, 99.9), 1)} %"


def file_name(path: PurePath | str) -> str:
    """Return the last part of a path."""
    return PurePath(path).name


def _decimal(value: float, digits: int) -> str:
    written = f"{value:.{digits}f}"
    return written.replace(".", ",") if current_language.get() == "de" else written


def _moment(wall_s: float | None) -> datetime | None:
    if wall_s is None:
        return None
    try:
        return datetime.fromtimestamp(wall_s, UTC)
    except (OverflowError, OSError, ValueError):
        return None


FILTERS: Mapping[str, Callable[..., Any]] = {
    "date": shown_date,
    "short_date": short_date,
    "time": shown_time,
    "local_time": local_time,
    "iso_date": iso_date,
    "month_name": month_name,
    "bytes": shown_bytes,
    "duration": shown_duration,
    "clock": clock_text,
    "rate": shown_rate,
    "percent": shown_percent,
    "file_name": file_name,
}

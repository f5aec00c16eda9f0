"""Converts times to wall-clock time: what a clock on the wall shows, as seconds since 1970 as if it were UTC.

Dates are sorted, filtered and grouped by it, because people remember where the sun stood.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

__all__ = ["as_datetime", "iso_text", "local_wall", "month_number"]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock times have no zone


def local_wall(instant_s: float) -> tuple[float, int | None]:
    """Return an instant as this machine's wall-clock time, and its offset from UTC in minutes.

    Without an offset where the system does not know one, for years far away.
    """
    try:
        offset_s = time.localtime(instant_s).tm_gmtoff
    except (OverflowError, ValueError, OSError):
        return instant_s, None
    return instant_s + offset_s, round(offset_s / 60)


def month_number(wall_s: float) -> int:
    """Return 12 * year + month - 1."""
    date = _date(wall_s)
    return 12 * date.year + date.month - 1


def iso_text(wall_s: float, offset_min: int | None = None) -> str:
    """Return a wall-clock time in ISO 8601, with the offset if it is known."""
    date = as_datetime(wall_s, offset_min)
    return date.isoformat(timespec="milliseconds" if date.microsecond else "seconds")


def as_datetime(wall_s: float, offset_min: int | None = None) -> datetime:
    """Return a wall-clock time as a datetime, which has a time zone if the offset is known."""
    zone = None if offset_min is None else timezone(timedelta(minutes=offset_min))
    return _date(wall_s).replace(tzinfo=zone)


def _date(wall_s: float) -> datetime:
    return _EPOCH + timedelta(milliseconds=round(wall_s * 1000))

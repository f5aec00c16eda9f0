"""When a picture was taken: reads the dates that files hold, and chooses one of them.

A date is wall-clock time, as seconds since 1970 as if it were UTC, with the offset of that clock from UTC
where the file says it or where the time of its GPS receiver shows it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from smallsight.media.metadata.fields import FieldRole, MetadataField

__all__ = ["DateTaken", "choose_date", "date_from_json", "parse_date"]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall-clock times have no zone
_S_PER_DAY, _S_PER_HOUR = 86_400, 3_600
_MAX_TEXT_CHARS = 64
_MAX_ORIGIN_CHARS = 60
_MAX_OFFSET_MIN = 14 * 60
_FIRST_YEAR = 1826  # of the first photograph
_MAX_WALL_S = 4e11
_ROLES = (FieldRole.TAKEN, FieldRole.DIGITISED, FieldRole.CHANGED)
_SOURCES = ("exif", "xmp", "iptc", "png", "takeout")  # those before are chosen first
_IN_UTC = frozenset({"takeout:photoTakenTime", "png:tIME"})
_WITHOUT_A_CLOCK = frozenset({"exif", "xmp", "takeout"})  # their writers copy a clock that starts in 1970
_SAME_S = 1.0
_MAX_FIX_AGE_S = 15 * 60  # how old the time of a GPS receiver may be

_ZONE = r"\s*(?P<zone>Z|GMT|UTC?|[+-]\d{2}(?::?\d{2})?)?"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9})\d*)?)?"
_SORTABLE = re.compile(
    r"(?P<year>\d{4})(?:[:/.-](?P<month>\d{1,2})(?:[:/.-](?P<day>\d{1,2})"
    rf"(?:[T ,]+{_CLOCK})?)?)?{_ZONE}",
    re.IGNORECASE | re.ASCII,
)
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_OF_MAIL = re.compile(
    r"(?:[a-z]{3},? )?(?P<day>\d{1,2}) (?P<name>[a-z]{3})[a-z]* (?P<year>\d{4})"
    rf"(?: {_CLOCK})?{_ZONE}",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class DateTaken:
    """A wall-clock time and its offset from UTC in minutes, None if unknown; ``origin`` names the field.

    With ``is_utc`` it is a time in UTC of a place whose clock is not known.
    """

    wall_s: float
    offset_min: int | None
    origin: str
    is_utc: bool = False

    def to_json(self) -> list[float | int | str | bool | None]:
        """Return the value as plain data, for ``date_from_json``."""
        return [self.wall_s, self.offset_min, self.origin, self.is_utc]


def date_from_json(value: object) -> DateTaken | None:
    """Return what ``to_json`` made; raises ValueError if it is anything else."""
    match value:
        case None:
            return None
        case [float() | int() as wall_s, None | int() as offset_min, str() as origin, bool() as is_utc]:
            is_known = not isinstance(wall_s, bool) and not isinstance(offset_min, bool)
            if (
                is_known
                and abs(wall_s) <= _MAX_WALL_S
                and abs(offset_min or 0) <= _MAX_OFFSET_MIN
                and 0 < len(origin) <= _MAX_ORIGIN_CHARS
                and origin.isprintable()
            ):
                return DateTaken(float(wall_s), offset_min, origin, is_utc)
    raise ValueError("not a date")


def parse_date(text: str) -> tuple[float, int | None] | None:
    """Return the wall-clock time and the offset of a date as EXIF, ISO 8601 or mail write it.

    A missing month, day or time is the first. None if it is no date, or before photography.
    """
    text = text[:_MAX_TEXT_CHARS].strip("\0 \t\r\n")
    found = _SORTABLE.fullmatch(text) or _OF_MAIL.fullmatch(text)
    if found is None:
        return None
    parts = found.groupdict()
    month = int(parts.get("month") or 1)
    if (name := parts.get("name")) is not None:
        if name.lower() not in _MONTHS:
            return None
        month = _MONTHS.index(name.lower()) + 1
    hour, minute, second = (int(parts[one] or 0) for one in ("hour", "minute", "second"))
    try:
        date = datetime(int(parts["year"]), month, int(parts["day"] or 1), hour, minute, min(second, 59))  # noqa: DTZ001
    except ValueError:
        return None
    if date.year < _FIRST_YEAR or second > 60:
        return None
    offset_min = parse_offset(parts["zone"])
    fraction_s = float(f"0.{parts['fraction'] or 0}")
    return (date - _EPOCH) / timedelta(seconds=1) + round(fraction_s, 3), offset_min


def parse_offset(text: str | None) -> int | None:
    """Return the minutes of an offset such as ``+02:00``, ``-0330`` or ``Z``; None if it is none."""
    if not text:
        return None
    if text[0] not in "+-":
        return 0
    digits = text[1:].replace(":", "").ljust(4, "0")
    minutes = 60 * int(digits[:2]) + int(digits[2:])
    if minutes > _MAX_OFFSET_MIN or int(digits[2:]) > 59:
        return None
    return -minutes if text[0] == "-" else minutes


def choose_date(fields: Iterable[MetadataField], latest_s: float) -> DateTaken | None:
    """Return when the picture was taken; dates more than a day after ``latest_s`` are ignored.

    What says when it was taken goes before what says when it was digitised or changed, and EXIF before the
    rest.
    """
    kept = [field for field in fields if field.role in _ROLES or field.role is FieldRole.GPS_TIME]
    dates = [(field.role, date) for field in kept for date in _dates(field, latest_s)]
    candidates = sorted(
        (one for one in dates if one[0] is not FieldRole.GPS_TIME), key=lambda one: _rank(*one)
    )
    if not candidates:
        return None
    chosen = candidates[0][1]
    if chosen.offset_min is not None or chosen.is_utc:
        return chosen
    for _, other in candidates[1:]:
        if other.offset_min is not None and abs(other.wall_s - chosen.wall_s) < _SAME_S:
            return replace(chosen, offset_min=other.offset_min)
    for role, other in dates:
        if role is FieldRole.GPS_TIME:
            return replace(chosen, offset_min=_offset_between(chosen.wall_s, other.wall_s))
    return chosen


def _rank(role: FieldRole, date: DateTaken) -> tuple[int, int]:
    return _ROLES.index(role), _SOURCES.index(_source(date.origin))


def _source(origin: str) -> str:
    return origin.partition(":")[0]


def _dates(field: MetadataField, latest_s: float) -> Iterator[DateTaken]:
    parsed = parse_date(field.text)
    if parsed is None or _source(field.origin) not in _SOURCES:
        return
    wall_s, offset_min = parsed
    ahead_s = _MAX_OFFSET_MIN * 60 if offset_min is None else offset_min * 60
    has_no_clock = wall_s == 0 and _source(field.origin) in _WITHOUT_A_CLOCK
    if wall_s - ahead_s > latest_s + _S_PER_DAY or has_no_clock:
        return
    is_utc = field.origin in _IN_UTC
    yield DateTaken(wall_s, None if is_utc else offset_min, field.origin, is_utc)


def _offset_between(wall_s: float, utc_s: float) -> int | None:
    """Return the offset of a time zone by which two times differ, but for 15 minutes; None without one."""
    offset_s = wall_s - utc_s
    nearest = min(_offsets(), key=lambda minutes: abs(minutes * 60 - offset_s))
    return nearest if abs(nearest * 60 - offset_s) <= _MAX_FIX_AGE_S else None


def _offsets() -> Iterator[int]:
    """Yield the offsets of all time zones, in minutes."""
    yield from range(-12 * 60, _MAX_OFFSET_MIN + 1, 60)
    for hours in (-9.5, -3.5, -2.5, 3.5, 4.5, 5.5, 5.75, 6.5, 8.75, 9.5, 10.5, 12.75, 13.75):
        yield math.floor(hours * 60)

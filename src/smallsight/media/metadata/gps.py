"""Reads the place and the time of a GPS receiver from the values of EXIF's GPS directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from smallsight.media.metadata.fields import FieldRole, MetadataField

__all__ = ["GPS_TAGS", "read_gps"]

_LATITUDE, _LONGITUDE, _TIME, _DAY = 2, 4, 7, 29  # the tag before each coordinate names the side
GPS_TAGS = frozenset({1, _LATITUDE, 3, _LONGITUDE, _TIME, _DAY})
_RATIONAL_BYTES = 8
_MAX_DAY_BYTES = 16


def read_gps(values: Mapping[int, bytes], order: Literal["little", "big"]) -> Iterator[MetadataField]:
    """Yield the coordinates in degrees, and the time in UTC."""
    for role, tag, sides in (
        (FieldRole.LATITUDE, _LATITUDE, (b"N", b"S")),
        (FieldRole.LONGITUDE, _LONGITUDE, (b"E", b"W")),
    ):
        side = values.get(tag - 1, b"")[:1].upper()
        parts = _rationals(values.get(tag, b""), order)
        if side in sides and len(parts) == 3 and parts[0] is not None:
            degrees = parts[0] + (parts[1] or 0) / 60 + (parts[2] or 0) / 3600
            if degrees <= 180:
                yield MetadataField(
                    role, f"{degrees if side == sides[0] else -degrees:.7f}", f"exif:{role.name}"
                )
    day = values.get(_DAY, b"")[:_MAX_DAY_BYTES].split(b"\0")[0].decode("ascii", "replace")
    clock = _rationals(values.get(_TIME, b""), order)
    if day and len(clock) == 3 and all(part is not None and part < 100 for part in clock):
        hour, minute, second = (int(part or 0) for part in clock)
        yield MetadataField(
            FieldRole.GPS_TIME, f"{day} {hour:02}:{minute:02}:{second:02}", "exif:GPSTimeStamp"
        )


def _rationals(raw: bytes, order: Literal["little", "big"]) -> list[float | None]:
    """Return unsigned fractions; None for one without a denominator."""
    found: list[float | None] = []
    for at in range(0, min(len(raw), 3 * _RATIONAL_BYTES), _RATIONAL_BYTES):
        above = int.from_bytes(raw[at : at + 4], order)
        below = int.from_bytes(raw[at + 4 : at + 8], order)
        found.append(above / below if below else None)
    return found

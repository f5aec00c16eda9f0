"""Where a picture was taken: reads coordinates as EXIF, XMP and Takeout give them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from smallsight.media.metadata.fields import FieldRole, MetadataField

__all__ = ["Coordinates", "checked_place", "choose_place", "parse_coordinate", "place_from_json"]

_MAX_LATITUDE, _MAX_LONGITUDE = 90.0, 180.0
_DECIMALS = 7  # a centimetre
_MAX_TEXT_CHARS = 64
_OF_XMP = re.compile(
    r"(?P<degrees>\d{1,3}),(?P<minutes>\d{1,2}(?:\.\d+)?)(?:,(?P<seconds>\d{1,2}(?:\.\d+)?))?(?P<side>[NSEW])",
    re.ASCII,
)
_DECIMAL = re.compile(r"[+-]?\d{1,3}(?:\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Degrees north and east."""

    latitude: float
    longitude: float

    def to_json(self) -> list[float]:
        """Return the value as plain data, for ``place_from_json``."""
        return [self.latitude, self.longitude]


def place_from_json(value: object) -> Coordinates | None:
    """Return what ``to_json`` made; raises ValueError if it is anything else."""
    match value:
        case None:
            return None
        case [float() | int() as latitude, float() | int() as longitude]:
            if (place := checked_place(latitude, longitude)) is not None:
                return place
    raise ValueError("not a place")


def choose_place(fields: Iterable[MetadataField]) -> Coordinates | None:
    """Return the first place of fields in order of precedence; both coordinates come from one source."""
    found: dict[tuple[str, FieldRole], float] = {}
    for field in fields:
        if field.role in (FieldRole.LATITUDE, FieldRole.LONGITUDE):
            degrees = parse_coordinate(field.text)
            if degrees is not None:
                found.setdefault((_source(field.origin), field.role), degrees)
    for (source, role), degrees in found.items():
        other = found.get((source, FieldRole.LONGITUDE))
        if role is FieldRole.LATITUDE and other is not None:
            place = checked_place(degrees, other)
            if place is not None:
                return place
    return None


def _source(origin: str) -> str:
    """Return the block, for Takeout with its two places the field."""
    return origin if origin.startswith("takeout:") else origin.partition(":")[0]


def checked_place(latitude: float, longitude: float) -> Coordinates | None:
    """Return a place; None outside the Earth, and at 0, 0, where receivers without a fix are."""
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        return None
    if abs(latitude) > _MAX_LATITUDE or abs(longitude) > _MAX_LONGITUDE or latitude == longitude == 0:
        return None
    return Coordinates(round(float(latitude), _DECIMALS), round(float(longitude), _DECIMALS))


def parse_coordinate(text: str) -> float | None:
    """Return the degrees of ``48,51.5N``, ``48,51,30N`` or ``-48.85833``; None if it is none of them."""
    text = text[:_MAX_TEXT_CHARS].strip("\0 \t\r\n")
    if _DECIMAL.fullmatch(text):
        return float(text)
    found = _OF_XMP.fullmatch(text)
    if found is None:
        return None
    degrees = float(found["degrees"]) + float(found["minutes"]) / 60 + float(found["seconds"] or 0) / 3600
    return -degrees if found["side"] in "SW" else degrees

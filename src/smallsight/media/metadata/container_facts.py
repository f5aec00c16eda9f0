"""Reads when, where and with what a video was taken from its container: MP4, QuickTime and Matroska.

Reads lengths in bounded loops, and never fails on damaged files. The times of the containers are in UTC; that
of QuickTime's key creationdate is the clock of the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from smallsight.media.iso_boxes import find_boxes
from smallsight.media.metadata.coordinates import Coordinates, checked_place
from smallsight.media.metadata.fields import FieldRole, MetadataField
from smallsight.media.metadata.taken import DateTaken, parse_date
from smallsight.media.metadata.words import FileWords, choose_words

__all__ = ["read_container", "read_iso6709"]

_EPOCH_1904_S, _EPOCH_2001_S = -2_082_844_800, 978_307_200
_MAX_KEYS, _MAX_ELEMENTS = 1_000, 10_000
_MAX_VALUE_BYTES = 1_000
_MAX_WALL_S = 1e11
_MVHD_BYTES = 100
_ROLES = {
    b"com.apple.quicktime.make": FieldRole.MAKE,
    b"com.apple.quicktime.model": FieldRole.MODEL,
}
_DATE_KEY, _PLACE_KEY = b"com.apple.quicktime.creationdate", b"com.apple.quicktime.location.ISO6709"
_EBML, _SEGMENT, _INFO, _DATE_UTC = b"\x1a\x45\xdf\xa3", 0x18538067, 0x1549A966, 0x4461
_ISO6709 = re.compile(r"(?P<latitude>[+-]\d{2,6}(?:\.\d+)?)(?P<longitude>[+-]\d{3,7}(?:\.\d+)?)", re.ASCII)


def read_container(data: bytes | memoryview, latest_s: float) -> FileWords:
    """Return the date, camera and place of a video; a date over a day after ``latest_s`` is ignored."""
    view = memoryview(data)
    if bytes(view[:4]) == _EBML:
        date = _matroska_date(view)
        return FileWords(taken=_checked(date, latest_s))
    values = dict(_quicktime_values(view))
    named = choose_words(
        MetadataField(role, _text(values[key]), "quicktime") for key, role in _ROLES.items() if key in values
    )
    places = [
        values.get(_PLACE_KEY, b""),
        *(bytes(box[4:]) for box in find_boxes(view, b"moov", b"udta", b"\xa9xyz")),
    ]
    return FileWords(
        taken=_checked(_quicktime_date(values), latest_s) or _checked(_movie_date(view), latest_s),
        camera=named.camera,
        place=next((place for one in places if (place := read_iso6709(_text(one))) is not None), None),
    )


def read_iso6709(text: str) -> Coordinates | None:
    """Return the place of a text such as ``+48.8583+002.2944/``: degrees, or with minutes and seconds."""
    found = _ISO6709.match(text)
    if found is None:
        return None
    return checked_place(_degrees(found["latitude"], 2), _degrees(found["longitude"], 3))


def _degrees(text: str, num_digits: int) -> float:
    sign, number = (-1 if text[0] == "-" else 1), text[1:]
    whole, _, fraction = number.partition(".")
    parts = [whole[:num_digits], whole[num_digits : num_digits + 2], whole[num_digits + 2 :]]
    used = [part for part in parts if part]
    used[-1] += f".{fraction or 0}"
    return sign * sum((float(part) / 60.0**power for power, part in enumerate(used)), 0.0)


def _checked(date: DateTaken | None, latest_s: float) -> DateTaken | None:
    if date is None or date.wall_s - 60 * (date.offset_min or 0) > latest_s + 86_400:
        return None
    return date


def _quicktime_date(values: dict[bytes, bytes]) -> DateTaken | None:
    parsed = parse_date(_text(values.get(_DATE_KEY, b"")))
    return None if parsed is None else DateTaken(*parsed, "container:creationdate")


def _movie_date(view: memoryview) -> DateTaken | None:
    """Return the time in the header of the movie; 0 is a clock that was never set."""
    for header in find_boxes(view, b"moov", b"mvhd"):
        if len(header) < _MVHD_BYTES:
            continue
        size = 8 if header[0] == 1 else 4
        seconds = int.from_bytes(header[4 : 4 + size], "big")
        wall_s = seconds + _EPOCH_1904_S
        if seconds and seconds != -_EPOCH_1904_S and wall_s < _MAX_WALL_S:
            return DateTaken(float(wall_s), None, "container:mvhd", is_utc=True)
    return None


def _quicktime_values(view: memoryview) -> Iterator[tuple[bytes, bytes]]:
    """Yield the values of QuickTime's keys by name."""
    for whole in find_boxes(view, b"moov", b"meta"):
        meta = whole if bytes(whole[4:8]) == b"hdlr" else whole[4:]  # MP4 has four bytes of a version first
        keys = next(find_boxes(meta, b"keys"), None)
        items = next(find_boxes(meta, b"ilst"), None)
        if keys is None or items is None:
            continue
        at = 8
        for number in range(1, _MAX_KEYS):
            size = int.from_bytes(keys[at : at + 4], "big")
            if size < 8 or at + size > len(keys):
                break
            name = bytes(keys[at + 8 : at + size])
            at += size
            for value in find_boxes(items, number.to_bytes(4, "big"), b"data"):
                yield name, bytes(value[8 : 8 + _MAX_VALUE_BYTES])


def _text(value: bytes) -> str:
    return value[:_MAX_VALUE_BYTES].decode("utf-8", "replace").strip("\0 ")


def _matroska_date(view: memoryview) -> DateTaken | None:
    for segment in _elements(view, _SEGMENT):
        for info in _elements(segment, _INFO):
            for value in _elements(info, _DATE_UTC):
                wall_s = int.from_bytes(value, "big", signed=True) / 1e9 + _EPOCH_2001_S
                if len(value) == 8 and abs(wall_s) < _MAX_WALL_S:
                    return DateTaken(wall_s, None, "container:DateUTC", is_utc=True)
    return None


def _elements(view: memoryview, wanted: int) -> Iterator[memoryview]:
    """Yield the contents of the EBML elements with an id; one of unknown size ends with what holds it."""
    at = 0
    for _ in range(_MAX_ELEMENTS):
        name, at = _number(view, at, keeps_mark=True)
        size, at = _number(view, at, keeps_mark=False)
        if name is None:
            return
        end = len(view) if size is None else min(at + size, len(view))
        if name == wanted:
            yield view[at:end]
        at = end


def _number(view: memoryview, at: int, *, keeps_mark: bool) -> tuple[int | None, int]:
    """Return a number of variable length and where it ends; None if there is none, or all its bits are 1."""
    if at >= len(view) or view[at] == 0:
        return None, len(view)
    length = 9 - view[at].bit_length()
    number = int.from_bytes(view[at : at + length], "big")
    mark = 1 << (7 * length)
    if keeps_mark:
        return number, at + length
    return (None if number == 2 * mark - 1 else number & (mark - 1)), at + length

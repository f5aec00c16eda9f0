"""Reads words and dates from IPTC-IIM, also among Photoshop's resources; never fails on damage."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from smallsight.media.metadata.exif import decode_unlabelled
from smallsight.media.metadata.fields import FieldRole, MetadataField

__all__ = ["iptc_of_photoshop", "read_iptc"]

_FIELDS = {
    (2, 5): (FieldRole.TITLE, "iptc:ObjectName"),
    (2, 25): (FieldRole.KEYWORD, "iptc:Keywords"),
    (2, 105): (FieldRole.COMMENT, "iptc:Headline"),
    (2, 120): (FieldRole.DESCRIPTION, "iptc:Caption-Abstract"),
}
_CHARACTER_SET = (1, 90)
_MARK = 0x1C
_ENCODINGS = {  # by the escape sequences of ISO 2022; others are guessed
    b"\x1b%G": "utf-8",
    b"\x1b%/G": "utf-8",
    b"\x1b%/H": "utf-8",
    b"\x1b%/I": "utf-8",
    b"\x1b.A": "iso8859-1",
    b"\x1b-A": "iso8859-1",
    b"\x1b-B": "iso8859-2",
    b"\x1b-F": "iso8859-7",
    b"\x1b-G": "iso8859-6",
    b"\x1b-H": "iso8859-8",
    b"\x1b-L": "iso8859-5",
    b"\x1b-M": "iso8859-9",
}
for _name in _ENCODINGS.values():
    codecs.lookup(_name)  # now, because the decoding child cannot load it any more
_MAX_RECORDS = 10_000
_MAX_DATE_BYTES = 16
_DATES = (
    (FieldRole.TAKEN, "iptc:DateCreated", (2, 55), (2, 60)),
    (FieldRole.DIGITISED, "iptc:DigitalCreationDate", (2, 62), (2, 63)),
)
_DATE_PARTS = frozenset(part for _, _, *parts in _DATES for part in parts)
_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{2}):?(\d{2}):?(\d{2})([+-]\d{4})?", re.ASCII)
_IPTC_RESOURCE = 0x0404


def read_iptc(data: bytes) -> Iterator[MetadataField]:
    """Yield the captions, keywords and dates of IPTC records."""
    dates: dict[tuple[int, int], str] = {}
    encoding: str | None = None
    for dataset, value in _datasets(data):
        if dataset == _CHARACTER_SET:
            encoding = _ENCODINGS.get(value)
        elif dataset in _FIELDS:
            role, origin = _FIELDS[dataset]
            text = decode_unlabelled(value) if encoding is None else value.decode(encoding, "replace")
            yield MetadataField(role, text, origin)
        elif dataset in _DATE_PARTS:
            dates.setdefault(dataset, value[:_MAX_DATE_BYTES].decode("ascii", "replace"))
    for role, origin, day, clock in _DATES:
        if (date := _date_text(dates.get(day, ""), dates.get(clock, ""))) is not None:
            yield MetadataField(role, date, origin)


def _date_text(day: str, clock: str) -> str | None:
    """Return a day such as 20230503, or 20230000, and a time such as 101112+0200 as one text."""
    found = _DAY.fullmatch(day.strip())
    if found is None:
        return None
    numbers = [number for number in found.groups() if number != "00"]
    text = "-".join(numbers)
    if len(numbers) == len(found.groups()) and (time := _TIME.fullmatch(clock.strip())):
        text += f" {time[1]}:{time[2]}:{time[3]}{time[4] or ''}"
    return text


def iptc_of_photoshop(data: bytes) -> bytes:
    """Return the IPTC records among Photoshop's image resources, empty if there are none."""
    at = 0
    for _ in range(_MAX_RECORDS):
        if data[at : at + 4] != b"8BIM" or at + 12 > len(data):
            break
        kind = int.from_bytes(data[at + 4 : at + 6], "big")
        name_bytes = data[at + 6] + 1
        size_at = at + 6 + name_bytes + name_bytes % 2
        size = int.from_bytes(data[size_at : size_at + 4], "big")
        if kind == _IPTC_RESOURCE:
            return data[size_at + 4 : size_at + 4 + size]
        at = size_at + 4 + size + size % 2
    return b""


def _datasets(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    at = 0
    for _ in range(_MAX_RECORDS):
        if at + 5 > len(data) or data[at] != _MARK:
            return
        dataset, size = (data[at + 1], data[at + 2]), int.from_bytes(data[at + 3 : at + 5], "big")
        at += 5
        if size & 0x8000:  # the size itself follows, in that many bytes
            size_bytes = size & 0x7FFF
            size = int.from_bytes(data[at : at + min(size_bytes, 8)], "big")
            at += size_bytes
        if at + size > len(data):
            return
        yield dataset, data[at : at + size]
        at += size

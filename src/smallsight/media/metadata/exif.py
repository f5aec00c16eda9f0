"""Reads the fields of EXIF, and the blocks of metadata in a TIFF; never fails on damage."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal

from smallsight.media.metadata.fields import FieldRole, MetadataField
from smallsight.media.metadata.gps import GPS_TAGS, read_gps

__all__ = ["IPTC_TAG", "PHOTOSHOP_TAG", "XMP_TAG", "decode_unlabelled", "read_exif", "tiff_values"]

XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG = 700, 33723, 34377
_EXIF_IFD, _IMAGE_DESCRIPTION, _USER_COMMENT = 0x8769, 270, 0x9286
_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS, _XP_SUBJECT = 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F
_MAKE, _MODEL, _GPS_IFD = 271, 272, 0x8825
_ORIGINAL, _DIGITISED = 0x9003, 0x9004
_DATES = (  # role, origin, and the tags of the date, of its fraction of a second and of its zone
    (FieldRole.TAKEN, "exif:DateTimeOriginal", _ORIGINAL, 0x9291, 0x9011),
    (FieldRole.DIGITISED, "exif:CreateDate", _DIGITISED, 0x9292, 0x9012),
)
_IN_EXIF_IFD = frozenset({_USER_COMMENT, *(tag for _, _, *tags in _DATES for tag in tags)})
_WANTED = frozenset(
    {
        *(XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, _EXIF_IFD, _GPS_IFD, _IMAGE_DESCRIPTION, _MAKE, _MODEL),
        *(_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS, _XP_SUBJECT, *_IN_EXIF_IFD),
    }
)
_TYPE_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
    129: 1,
}
_MAX_ENTRIES = 4_096
_MAX_VALUE_BYTES = 8 * 1024 * 1024  # an XMP packet with an edit history
_MAX_TEXT_BYTES = 128 * 1024
_WITH_SECONDS = re.compile(r"\S+[ T]+\d{1,2}:\d{2}:\d{2}", re.ASCII)
_ZONE = re.compile(r"Z|[+-]\d{2}:?\d{2}", re.ASCII)
_PREFIX = b"Exif\0\0"
_JAPANESE = "iso2022_jp"

# Python loads these when they are first used, which the decoding child may not do any more.
for _name in ("cp1252", "utf-16", "utf-16-le", "utf-16-be"):
    codecs.lookup(_name)
"あ".encode(_JAPANESE).decode(_JAPANESE)


def read_exif(data: bytes) -> Iterator[MetadataField]:
    """Yield the fields of an EXIF block, with or without its JPEG prefix, or of a TIFF."""
    data = data.removeprefix(_PREFIX)
    values = tiff_values(data)
    texts = (
        (FieldRole.TITLE, "exif:XPTitle", _utf_16(values.get(_XP_TITLE))),
        (FieldRole.DESCRIPTION, "exif:ImageDescription", decode_unlabelled(values.get(_IMAGE_DESCRIPTION))),
        (FieldRole.COMMENT, "exif:UserComment", _user_comment(values.get(_USER_COMMENT), _order(data))),
        (FieldRole.COMMENT, "exif:XPComment", _utf_16(values.get(_XP_COMMENT))),
        (FieldRole.COMMENT, "exif:XPSubject", _utf_16(values.get(_XP_SUBJECT))),
    )
    for role, origin, text in texts:
        if text:
            yield MetadataField(role, text, origin)
    for keyword in _utf_16(values.get(_XP_KEYWORDS)).split(";"):
        yield MetadataField(FieldRole.KEYWORD, keyword, "exif:XPKeywords")
    for role, origin, tag in ((FieldRole.MAKE, "exif:Make", _MAKE), (FieldRole.MODEL, "exif:Model", _MODEL)):
        if text := decode_unlabelled(values.get(tag)).strip():
            yield MetadataField(role, text, origin)
    for role, origin, *tags in _DATES:
        date, fraction, zone = (decode_unlabelled(values.get(tag)).strip() for tag in tags)
        if date:
            yield MetadataField(role, _date_text(date, fraction, zone), origin)
    yield from read_gps(_gps_values(data, values), _order(data))


def _date_text(date: str, fraction: str, zone: str) -> str:
    """Return a date with the parts that EXIF has in other tags."""
    if _WITH_SECONDS.fullmatch(date) is None:
        return date
    fraction = f".{fraction}" if fraction.isascii() and fraction.isdigit() else ""
    return f"{date}{fraction}{zone if _ZONE.fullmatch(zone) else ''}"


def tiff_values(data: bytes) -> dict[int, bytes]:
    """Return the values of the tags that matter here, by tag, of the first page and its EXIF directory."""
    if data[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return {}
    order = _order(data)
    is_big = 43 in (data[2], data[3])
    start = int.from_bytes(data[8:16] if is_big else data[4:8], order)
    values = _directory(data, start, order, is_big=is_big)
    if (pointer := values.get(_EXIF_IFD)) is not None:
        inner = _directory(data, int.from_bytes(pointer, order), order, is_big=is_big)
        values |= {tag: value for tag, value in inner.items() if tag in _IN_EXIF_IFD}
    return values


def _gps_values(data: bytes, values: dict[int, bytes]) -> dict[int, bytes]:
    if (pointer := values.get(_GPS_IFD)) is None:
        return {}
    order = _order(data)
    is_big = 43 in (data[2], data[3])
    return _directory(data, int.from_bytes(pointer, order), order, is_big=is_big, wanted=GPS_TAGS)


def decode_unlabelled(raw: bytes | None) -> str:
    """Return text without a stated encoding: UTF-8, or Windows-1252 where it is not that."""
    if raw is None:
        return ""
    raw = raw[:_MAX_TEXT_BYTES].split(b"\0", 1)[0]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _order(data: bytes) -> Literal["little", "big"]:
    return "little" if data[:2] == b"II" else "big"


def _directory(
    data: bytes,
    start: int,
    order: Literal["little", "big"],
    *,
    is_big: bool,
    wanted: frozenset[int] = _WANTED,
) -> dict[int, bytes]:
    count_bytes, entry_bytes, inline_bytes = (8, 20, 8) if is_big else (2, 12, 4)

    def number(at: int, length: int) -> int:
        return int.from_bytes(data[at : at + length], order)

    values: dict[int, bytes] = {}
    first = start + count_bytes
    for at in range(first, first + entry_bytes * min(number(start, count_bytes), _MAX_ENTRIES), entry_bytes):
        if at + entry_bytes > len(data):
            break
        tag, num_bytes = number(at, 2), _TYPE_BYTES.get(number(at + 2, 2), 0) * number(at + 4, inline_bytes)
        if tag not in wanted or tag in values or not 0 < num_bytes <= _MAX_VALUE_BYTES:
            continue
        value_at = at + 4 + inline_bytes
        if num_bytes > inline_bytes:
            value_at = number(value_at, inline_bytes)
        value = data[value_at : value_at + num_bytes]
        if len(value) == num_bytes:
            values[tag] = value
    return values


def _utf_16(raw: bytes | None) -> str:
    text = (raw or b"")[:_MAX_TEXT_BYTES].decode("utf-16-le", "replace")
    return "".join(map(_whole, text.removeprefix("\ufeff").split("\0", 1)[0]))


def _whole(character: str) -> str:
    """Return the emoji of which exiftool has kept 16 bits only, which is a private character otherwise."""
    if not "\uf000" <= character <= "\uf8ff":
        return character
    emoji = chr(0x10000 + ord(character))
    return emoji if unicodedata.category(emoji) == "So" else character


def _user_comment(raw: bytes | None, order: Literal["little", "big"]) -> str:
    """Decode a comment by the character code in its first eight bytes."""
    if raw is None or len(raw) <= 8:
        return ""
    code, text = raw[:8].rstrip(b"\0 ").upper(), raw[8 : 8 + _MAX_TEXT_BYTES]
    if code == b"UNICODE":
        return _unicode_comment(text, order)
    if code == b"JIS":
        return text.decode(_JAPANESE, "replace").rstrip("\0")
    return decode_unlabelled(text) if code in (b"ASCII", b"") else decode_unlabelled(raw)


def _unicode_comment(text: bytes, order: Literal["little", "big"]) -> str:
    """Decode UTF-16 in the byte order of the block, or in another way where that gives more ASCII characters.

    Programs disagree about the order, some write UTF-8 here, and text without a single space, digit or Latin
    letter is rare.
    """
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return text.decode("utf-16", "replace").split("\0", 1)[0]
    names = ("utf-16-le", "utf-16-be") if order == "little" else ("utf-16-be", "utf-16-le")
    decoded = [text.decode(name, "replace").split("\0", 1)[0] for name in names]
    raw = text.rstrip(b"\0")
    if b"\0" not in raw and not raw.isascii():  # letters of East Asia may be two bytes of ASCII
        with suppress(UnicodeDecodeError):
            decoded.append(raw.decode())
    return max(decoded, key=lambda one: sum(mark.isascii() for mark in one))

"""Tells RAW photos from TIFFs, as which many begin: all that a reader of TIFFs finds there is a thumbnail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

__all__ = ["raw_photo"]

_PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 262, 330, 50_706
_OF_A_SENSOR = (32_803, 34_892)  # colour filter array, and linear raw
_LONG_TYPES = (4, 13)
_MAX_ENTRIES, _MAX_IFDS = 512, 16


def raw_photo(data: bytes) -> str | None:
    """Return a clause that says which RAW photo a TIFF is, None for any other. Never fails."""
    if data[8:10] == b"CR" and data[:4] == b"II*\0":
        return "a RAW photo (CR2)"
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    if _number(data, 2, 2, order) != 42:
        return None
    first = dict(_entries(data, _number(data, 4, 4, order), order))
    if _DNG_VERSION in first:
        return "a RAW photo (DNG)"
    for start in (_number(data, 4, 4, order), *_sub_ifds(data, first.get(_SUB_IFDS), order)):
        entry = dict(_entries(data, start, order)).get(_PHOTOMETRIC)
        if entry is not None and _number(data, entry + 8, 2, order) in _OF_A_SENSOR:
            return "a RAW photo"
    return None


def _entries(data: bytes, start: int, order: Literal["little", "big"]) -> Iterator[tuple[int, int]]:
    """Yield the tags of a directory, and where in the file their entries are."""
    for number in range(min(_number(data, start, 2, order), _MAX_ENTRIES)):
        entry = start + 2 + 12 * number
        if entry + 12 > len(data):
            return
        yield _number(data, entry, 2, order), entry


def _sub_ifds(data: bytes, entry: int | None, order: Literal["little", "big"]) -> list[int]:
    if entry is None or _number(data, entry + 2, 2, order) not in _LONG_TYPES:
        return []
    count = min(_number(data, entry + 4, 4, order), _MAX_IFDS)
    at = entry + 8 if count == 1 else _number(data, entry + 8, 4, order)
    return [_number(data, at + 4 * number, 4, order) for number in range(count)]


def _number(data: bytes, start: int, length: int, order: Literal["little", "big"]) -> int:
    return int.from_bytes(data[start : start + length], order)

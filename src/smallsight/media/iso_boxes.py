"""Finds boxes of ISO base media files (AVIF, HEIC) in raw bytes; never fails on damaged ones."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["find_boxes", "primary_properties"]

_CONTAINERS_WITH_VERSION = (b"meta",)
_MAX_BOXES = 10_000  # in one box, of what a file may hold


def find_boxes(data: bytes | memoryview, *path: bytes) -> Iterator[memoryview]:
    """Yield the contents of the boxes at a path of names."""
    view = memoryview(data)
    for name, content in _boxes(view):
        if name != path[0]:
            continue
        if len(path) == 1:
            yield content
        else:
            yield from find_boxes(content[4:] if name in _CONTAINERS_WITH_VERSION else content, *path[1:])


def primary_properties(data: bytes | memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the names and contents of the properties of the picture that is shown.

    Other pictures in the file have theirs: thumbnails, depth and gain maps, tiles. If a file does not say
    whose a property is, all are yielded.
    """
    for meta in find_boxes(data, b"meta"):
        inside = meta[4:]
        every = [box for ipco in find_boxes(inside, b"iprp", b"ipco") for box in _boxes(ipco)]
        item = next((_item_id(pitm) for pitm in find_boxes(inside, b"pitm")), None)
        owners: dict[int, list[int]] = {}
        for ipma in find_boxes(inside, b"iprp", b"ipma"):
            owners |= _associations(ipma)
        if item is None or item not in owners:
            yield from every
            return
        yield from (every[number - 1] for number in owners[item] if 0 < number <= len(every))
        return


def _item_id(pitm: memoryview) -> int:
    return int.from_bytes(pitm[4:8] if any(pitm[:1]) else pitm[4:6], "big")


def _associations(ipma: memoryview) -> dict[int, list[int]]:
    """Return the numbers of the properties of each picture, from 1."""
    id_bytes = 4 if any(ipma[:1]) else 2
    number_bytes = 2 if ipma[3:4] and ipma[3] & 1 else 1
    mask = (
        0x7FFF if number_bytes == 2 else 0x7F
    )  # the highest bit says that a reader has to know the property
    found: dict[int, list[int]] = {}
    position = 8
    while position + id_bytes < len(ipma) and len(found) < _MAX_BOXES:
        item = int.from_bytes(ipma[position : position + id_bytes], "big")
        position += id_bytes
        start, end = position + 1, position + 1 + ipma[position] * number_bytes
        numbers = range(start, min(end, len(ipma)), number_bytes)
        found[item] = [int.from_bytes(ipma[at : at + number_bytes], "big") & mask for at in numbers]
        position = end
    return found


def _boxes(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    position = 0
    for _ in range(_MAX_BOXES):
        if position + 8 > len(view):
            return
        size, start = int.from_bytes(view[position : position + 4], "big"), position + 8
        if size == 1:
            size, start = int.from_bytes(view[start : start + 8], "big"), start + 8
        end = len(view) if size == 0 else position + size
        if end < start or end > len(view):
            return
        yield bytes(view[position + 4 : position + 8]), view[start:end]
        position = end

"""Finds boxes of ISO base media files (AVIF, HEIC) in raw bytes; never fails on damaged ones."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["find_boxes"]

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

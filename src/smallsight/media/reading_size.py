"""Decides at what size, and how many frames or pages of, a picture are read.

Most pictures are reduced to ``index.ocr_max_side_px``. Where that would lose letters, on very long pictures
and on large screens, more pixels are kept, and they are read in tiles. Pure arithmetic on what is stored of a
picture, so that `smallsight show` can tell what was left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = [
    "MAX_FRAMES_READ",
    "MAX_PAGES",
    "MAX_READING_PIXELS",
    "ReadingExtent",
    "is_paged",
    "reading_extent",
    "reading_size",
]

MAX_READING_PIXELS = 36_000_000  # a screenshot of 1080 x 33,000
MAX_PAGES = 20
MAX_FRAMES_READ = 4

_PAGED = frozenset(("TIFF", "HEIF"))
_SCREENS = frozenset(("PNG", "WEBP", "BMP"))  # in which screenshots are saved without loss
_LONG_RATIO = 2.5
_LONG_SIDE = 2.5  # of the longest side, in multiples of what ordinary pictures are reduced to
_LONG_PICTURE_SIDE_PX = 1_280  # the shortest side of a long picture is reduced to this
_SCREEN_SIDE = 1.4


@dataclass(frozen=True, slots=True)
class ReadingExtent:
    """What OCR gets of a picture: its size in pixels, and how many frames or pages are read and left out.

    ``is_paged`` means that they are pages, not moments of an animation.
    """

    width_px: int
    height_px: int
    num_read: int
    num_left_out: int
    is_paged: bool


def is_paged(picture_format: str) -> bool:
    """Return whether the frames of a format are pages, each of its own, instead of moments."""
    return picture_format in _PAGED


def reading_extent(
    picture_format: str, size: tuple[int, int], num_frames: int, side_px: int
) -> ReadingExtent:
    """Return what is read of a picture of this upright size, with ``index.ocr_max_side_px``."""
    paged = is_paged(picture_format)
    num_read = min(num_frames, MAX_PAGES if paged else MAX_FRAMES_READ)
    return ReadingExtent(*reading_size(picture_format, size, side_px), num_read, num_frames - num_read, paged)


def reading_size(picture_format: str, size: tuple[int, int], side_px: int) -> tuple[int, int]:
    """Return the size at which a picture of this upright size is read."""
    longest_px, shortest_px = max(size), min(size)
    scale = min(1.0, side_px / longest_px)
    is_long = longest_px >= _LONG_RATIO * shortest_px
    if is_long and longest_px > _LONG_SIDE * side_px:
        scale = min(1.0, _LONG_PICTURE_SIDE_PX / shortest_px)
    elif picture_format in _SCREENS and longest_px > _SCREEN_SIDE * side_px:
        # Phones show large letters on as many pixels, so that theirs are read as ordinary pictures.
        is_phone = size[1] > size[0] and shortest_px <= side_px
        scale = scale if is_phone else 1.0
    scale = min(scale, math.sqrt(MAX_READING_PIXELS / (size[0] * size[1])))
    return max(1, int(size[0] * scale + 0.5)), max(1, int(size[1] * scale + 0.5))

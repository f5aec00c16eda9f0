"""Crops an AVIF to its clean aperture, which Pillow leaves out; libheif does it for HEIC."""

from __future__ import annotations

import struct
from fractions import Fraction

from PIL import Image

from smallsight.media.iso_boxes import primary_properties

__all__ = ["clean_aperture", "cropped"]


def clean_aperture(data: bytes, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return the part of a picture that is shown, before it is turned: left, top, right and bottom in pixels.

    None if all of it is, or if what the file says is no whole number of pixels inside of the picture.
    Source: ISO/IEC 14496-12, section 12.1.4, and ISO/IEC 23000-22 (MIAF).
    """
    content = next((one for name, one in primary_properties(data) if name == b"clap"), None)
    if content is None or len(content) < 32:
        return None
    numbers = struct.unpack(">IIIIiIiI", content[:32])
    if not all(numbers[1::2]):
        return None
    width, height, right, down = (Fraction(*numbers[at : at + 2]) for at in (0, 2, 4, 6))
    left, top = ((size[0] - width) / 2 + right, (size[1] - height) / 2 + down)
    box = (left, top, left + width, top + height)
    is_inside = 0 <= left < box[2] <= size[0] and 0 <= top < box[3] <= size[1]
    if not is_inside or any(edge.denominator != 1 for edge in box):
        return None
    pixels = int(box[0]), int(box[1]), int(box[2]), int(box[3])
    return None if pixels == (0, 0, *size) else pixels


def cropped(opened: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Return a part of an opened picture, with its metadata."""
    part = opened.crop(box)
    part.info, part.format = dict(opened.info), opened.format
    return part

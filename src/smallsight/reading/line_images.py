"""Cuts lines out of a picture: upright, 48 pixels high, at the width that keeps the letters' shape."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.reading.text_regions import TextRegion

__all__ = ["LINE_HEIGHT_PX", "line_corners", "line_image"]

LINE_HEIGHT_PX = 48
_LEAST_WIDTH_PX = 16
_MAX_WIDTH_PX = 12_000
_OUTSIDE = (127, 127, 127)
_TURNS = {
    1: Image.Transpose.ROTATE_90,
    2: Image.Transpose.ROTATE_180,
    3: Image.Transpose.ROTATE_270,
}


def line_image(image: Image.Image, region: TextRegion, turn: int, stretch: float = 1.0) -> NDArray[np.uint8]:
    """Return the pixels of a line, uint8 RGB [48, W, 3].

    ``turn`` says which way it reads, in quarter turns to the right from the region's width: 1 is downwards.
    ``stretch`` makes it wider than the letters are.
    """
    along, across = (region.width, region.height) if turn % 2 == 0 else (region.height, region.width)
    width_px = min(_MAX_WIDTH_PX, max(_LEAST_WIDTH_PX, round(LINE_HEIGHT_PX * along / across * stretch)))
    size = (width_px, LINE_HEIGHT_PX)
    if region.angle == 0.0:
        part = _upright(image, region, size if turn % 2 == 0 else size[::-1])
        turned = part.transpose(_TURNS[turn]) if turn else part
        return np.asarray(turned)
    cut = _cut(image, region, turn, max(1, round(along)), max(1, round(across)))
    return np.asarray(cut.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0))


def line_corners(region: TextRegion, turn: int) -> NDArray[np.float64]:
    """Return the corners [4, 2] in pixels, clockwise from the text's top left."""
    right, down = _axes(region, turn)
    along, across = (region.width, region.height) if turn % 2 == 0 else (region.height, region.width)
    centre = np.array([region.x, region.y])
    half_right, half_down = right * along / 2, down * across / 2
    return np.stack(
        [
            centre - half_right - half_down,
            centre + half_right - half_down,
            centre + half_right + half_down,
            centre - half_right + half_down,
        ]
    )


def _axes(region: TextRegion, turn: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the unit vectors along which the text reads, and from one line to the next."""
    angle = region.angle + turn * math.pi / 2
    return np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])


def _upright(image: Image.Image, region: TextRegion, size: tuple[int, int]) -> Image.Image:
    left, top, right, bottom = region.bounds()
    left, top = max(0.0, left), max(0.0, top)
    box = (left, top, max(left + 1e-3, min(image.width, right)), max(top + 1e-3, min(image.height, bottom)))
    return image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


def _cut(image: Image.Image, region: TextRegion, turn: int, width_px: int, height_px: int) -> Image.Image:
    right, down = _axes(region, turn)
    x, y = np.array([region.x, region.y]) - right * width_px / 2 - down * height_px / 2
    coefficients = (right[0], down[0], x, right[1], down[1], y)
    return image.transform(
        (width_px, height_px),
        Image.Transform.AFFINE,
        tuple(float(one) for one in coefficients),
        Image.Resampling.BICUBIC,
        fillcolor=_OUTSIDE,
    )

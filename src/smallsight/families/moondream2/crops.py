"""Cuts a picture into overlapping crops.

Source: vikhyat/moondream 8ac77eb, torch/image_crops.py. It resizes with libvips; this always has the pixels
of Pillow's LANCZOS, which later revisions of the reference use where libvips is not installed.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from smallsight.families.messages import Detail, Tile
from smallsight.families.moondream2.config import Moondream2VisionConfig
from smallsight.families.plain_rgb import OpenedImage, size_of
from smallsight.media.fast_resizing import resize_in_steps

RESAMPLE = Image.Resampling.LANCZOS


@dataclass(frozen=True, slots=True, eq=False)
class CroppedPicture(Tile):
    """The whole picture as a square, then ``rows`` x ``columns`` crops in reading order, stacked vertically.

    ``pixels_HWC`` is [(1 + crops) * crop_px, crop_px, 3]. A grid of 1 x 1 would repeat the whole and has no
    crops.
    """

    rows: int
    columns: int

    @property
    def num_crops(self) -> int:
        """Squares that the tower encodes, including the whole."""
        return 1 if self.rows == self.columns == 1 else 1 + self.rows * self.columns


def plan_grid(size: tuple[int, int], detail: Detail, vision: Moondream2VisionConfig) -> tuple[int, int]:
    """Return (rows, columns) of the crops for a picture of size (width, height).

    ``high`` is the reference's grid. ``auto`` has no more crops than the picture's pixels fill. ``low`` is
    1 x 1.
    """
    if detail is Detail.LOW:
        return 1, 1
    height, width = size[1] - 2 * vision.margin_px, size[0] - 2 * vision.margin_px
    rows, columns = _reference_grid(height, width, vision.step_px, vision.max_crops)
    if detail is Detail.AUTO:
        rows = min(rows, max(1, height // vision.step_px))
        columns = min(columns, max(1, width // vision.step_px))
    return rows, columns


def cut_crops(image: OpenedImage, detail: Detail, vision: Moondream2VisionConfig) -> CroppedPicture:
    """Cut a picture of any mode and size.

    The reference drops transparency, which shows the colours below it. Models get images in which it has been
    laid on a ground.
    """
    rgb = image.convert("RGB") if isinstance(image, Image.Image) else image
    rows, columns = plan_grid(size_of(rgb), detail, vision)
    side, step = vision.crop_px, vision.step_px
    squares = [resize_in_steps(rgb, [(side, side)], RESAMPLE)]
    if rows * columns > 1:
        margins = 2 * vision.margin_px
        size = columns * step + margins, rows * step + margins
        large = resize_in_steps(rgb, [size], RESAMPLE)
        squares += [
            large[row * step : row * step + side, column * step : column * step + side]
            for row in range(rows)
            for column in range(columns)
        ]
    pixels_HWC = np.concatenate(squares)
    digest = hashlib.sha256(f"{rows}x{columns}".encode() + pixels_HWC.tobytes()).digest()
    return CroppedPicture(pixels_HWC, digest, rows, columns)


def _reference_grid(height: int, width: int, step_px: int, max_crops: int) -> tuple[int, int]:
    """Return the grid closest to the picture's proportions with at most ``max_crops``; sizes without margins.

    For strips, the reference exceeds its own limit: 21 crops for 400 x 20,000 pixels. This does not.
    """
    if height <= step_px or width <= step_px:
        return 1, 1
    least_rows, least_columns = math.ceil(height / step_px), math.ceil(width / step_px)
    if least_rows * least_columns > max_crops:
        ratio = math.sqrt(max_crops / (least_rows * least_columns))
        rows, columns = max(1, math.floor(least_rows * ratio)), max(1, math.floor(least_columns * ratio))
        return min(rows, max_crops // min(columns, max_crops)), min(columns, max_crops)
    rows = max(math.floor(math.sqrt(max_crops * height / width)), least_rows)
    columns = max(math.floor(math.sqrt(max_crops * width / height)), least_columns)
    if rows * columns > max_crops:
        if columns > rows:
            columns = math.floor(max_crops / rows)
        else:
            rows = math.floor(max_crops / columns)
    return max(1, rows), max(1, columns)

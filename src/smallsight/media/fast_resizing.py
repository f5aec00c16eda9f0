"""Resizes pictures with Pillow's Lanczos and bicubic pixels, in smallsight-kernels where it is installed.

Pillow rounds to bytes between the two sides, so the side that it resizes first decides pixels. Pillow 13
takes the height first where it loses more than twice as many pixels as the width; before, it never did.
Which of the two is installed is found out with a small picture, and one that does neither is used itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.machine.cores import usable_cores
from smallsight.machine.extension import find_extension

__all__ = ["resize_in_steps"]

Bytes: TypeAlias = NDArray[np.uint8]
Order: TypeAlias = Literal["lost rows first", "width first"]
_FILTERS = {Image.Resampling.LANCZOS: "lanczos", Image.Resampling.BICUBIC: "bicubic"}


def resize_in_steps(
    image: Image.Image | Bytes,
    sizes: Sequence[tuple[int, int]],
    resample: Image.Resampling,
    threads: int | None = None,
) -> Bytes:
    """Resize an RGB picture to each (width, height) after the other; return uint8 [height, width, 3].

    The extension uses as many ``threads``, one per physical core without a number.
    """
    extension = find_extension().module
    order = None if extension is None else _pillows_order(extension)
    if resample not in _FILTERS or extension is None or order is None:
        picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
        for size in sizes:
            picture = picture.resize(size, resample)
        return np.asarray(picture)
    pixels_HWC = np.ascontiguousarray(image)
    for size in sizes:
        if pixels_HWC.shape[1::-1] != size:
            pixels_HWC = _resized(extension, pixels_HWC, size, order, resample, threads or usable_cores())
    return pixels_HWC


def _resized(
    extension: ModuleType,
    pixels_HWC: Bytes,
    size: tuple[int, int],
    order: Order,
    resample: Image.Resampling,
    threads: int,
) -> Bytes:
    width, height = size
    fewer_rows, fewer_columns = pixels_HWC.shape[0] - height, pixels_HWC.shape[1] - width
    is_height_first = order == "lost rows first" and fewer_rows > max(0, 2 * fewer_columns)
    out_HWC = np.empty((height, width, 3), np.uint8)
    extension.resize(pixels_HWC, out_HWC, is_height_first, threads, filter=_FILTERS[resample])
    return out_HWC


@cache
def _pillows_order(extension: ModuleType) -> Order | None:
    """Return in which order Pillow resizes; None if that is not known."""
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (64, 16, 3), np.uint8)
    size = (13, 21)
    lanczos = Image.Resampling.LANCZOS
    pillows = np.asarray(Image.fromarray(pixels_HWC).resize(size, lanczos))
    known: tuple[Order, ...] = ("lost rows first", "width first")
    alike = [
        one
        for one in known
        if np.array_equal(_resized(extension, pixels_HWC, size, one, lanczos, threads=1), pillows)
    ]
    return alike[0] if alike else None

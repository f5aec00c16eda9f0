"""What a search asks of a map of text probabilities: which cells have text, and the map in twice its size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.reading.fine_structure import CELL_PX

__all__ = ["cells_with", "in_twice_its_size"]

_ROWS_APART = 8  # from which lines of text are enlarged apart


def in_twice_its_size(map_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the map enlarged; only where something is, with a pixel around it, anything is computed."""
    larger_HW = np.zeros((2 * map_HW.shape[0], 2 * map_HW.shape[1]), np.uint8)
    rows = np.flatnonzero(map_HW.any(1))
    for band in np.split(rows, np.flatnonzero(np.diff(rows) > _ROWS_APART) + 1):
        if not len(band):
            continue
        top, bottom = max(0, int(band[0]) - 1), min(map_HW.shape[0], int(band[-1]) + 2)
        columns = np.flatnonzero(map_HW[top:bottom].any(0))
        left, right = max(0, int(columns[0]) - 1), min(map_HW.shape[1], int(columns[-1]) + 2)
        part = Image.fromarray(map_HW[top:bottom, left:right])
        larger_HW[2 * top : 2 * bottom, 2 * left : 2 * right] = np.asarray(
            part.resize((2 * part.width, 2 * part.height), Image.Resampling.BILINEAR)
        )
    return larger_HW


def cells_with(
    pixels_HW: NDArray[np.bool_], factors: tuple[float, float], cells: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return the cells of an image that have one of the pixels, of a copy smaller by the factors x and y.

    Without the positions of pixels: on a large screen full of letters they would take hundreds of MB.
    """
    rows, columns = (
        np.unique((np.arange(length) * (factor / CELL_PX)).astype(int), return_index=True)
        for length, factor in zip(pixels_HW.shape, reversed(factors), strict=True)
    )
    found_HW = np.logical_or.reduceat(pixels_HW, rows[1], 0)
    cells_HW = np.zeros(cells, np.bool_)
    cells_HW[np.ix_(rows[0], columns[0])] = np.logical_or.reduceat(found_HW, columns[1], 1)
    return cells_HW

"""Finds where an image has fine structure, as letters do, without a network: cells with many steep pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["CELL_PX", "FineStructure", "find_fine_structure"]

CELL_PX = 16
_STEEP = 32  # difference of neighbouring pixels, of 255
_SHARE = 0.12  # of a cell's pixels; the edge of a window has less
_EDGE_SHARE = 0.02  # of the pixels of a cell with an edge
_EVEN_SHARE = 0.004  # of a flat cell's pixels
_BAND_PX = 64 * CELL_PX  # rows that are looked at together: no copies of a large image
_FLAT_SHARE = 0.25  # of the cells of a screenshot or page


@dataclass(frozen=True, slots=True, eq=False)
class FineStructure:
    """``cells_HW`` are the cells that may have letters, ``edges_HW`` those with any edge.

    ``is_flat`` tells drawings and pages from photographs.
    """

    cells_HW: NDArray[np.bool_]
    edges_HW: NDArray[np.bool_]
    is_flat: bool


def find_fine_structure(image: Image.Image) -> FineStructure:
    """Return the cells of an image, of 16 x 16 pixels each, in which neighbouring pixels differ much."""
    grey_HW = np.asarray(image.convert("L"))
    bands = [_steep_pixels(grey_HW[top : top + _BAND_PX]) for top in range(0, grey_HW.shape[0], _BAND_PX)]
    counts_HW = np.concatenate(bands)
    dense_HW = counts_HW > _SHARE * CELL_PX**2
    return FineStructure(
        _in_company(dense_HW),
        counts_HW > _EDGE_SHARE * CELL_PX**2,
        float((counts_HW <= _EVEN_SHARE * CELL_PX**2).mean()) > _FLAT_SHARE,
    )


def _steep_pixels(grey_HW: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return for each cell the number of pixels that differ much from the next one in their row."""
    height_px, width_px = grey_HW.shape
    rows, columns = -(-height_px // CELL_PX), -(-width_px // CELL_PX)
    steep_HW = np.zeros((rows * CELL_PX, columns * CELL_PX), np.uint8)
    left_HW, right_HW = grey_HW[:, :-1], grey_HW[:, 1:]
    differences_HW = np.maximum(left_HW, right_HW)
    differences_HW -= np.minimum(left_HW, right_HW)
    np.greater(differences_HW, _STEEP, out=steep_HW[:height_px, : width_px - 1].view(np.bool_))
    of_columns_HW = steep_HW.reshape(rows, CELL_PX, -1).sum(1, dtype=np.uint8)  # first, as rows lie together
    counts_HW: NDArray[np.uint16] = of_columns_HW.reshape(rows, columns, CELL_PX).sum(2, dtype=np.uint16)
    return counts_HW


def _in_company(cells_HW: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the cells that have a neighbour at a side."""
    beside_HW = np.zeros_like(cells_HW)
    beside_HW[:, 1:] |= cells_HW[:, :-1]
    beside_HW[:, :-1] |= cells_HW[:, 1:]
    beside_HW[1:] |= cells_HW[:-1]
    beside_HW[:-1] |= cells_HW[1:]
    return cells_HW & beside_HW

"""Joins the features of overlapping crops and pools them to the grid of a single crop.

Source: vikhyat/moondream 8ac77eb, torch/image_crops.py and torch/vision.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def stitch(
    crops: Sequence[NDArray[np.float32]], rows: int, columns: int, side: int, margin: int
) -> NDArray[np.float32]:
    """Join crops [side * side, features] without their inner margins, float32 [height, width, features].

    ``side`` and ``margin`` are in patches. Where two crops overlap, each contributes its half.
    """
    step = side - 2 * margin
    whole = np.empty((rows * step + 2 * margin, columns * step + 2 * margin, crops[0].shape[1]), np.float32)
    for index, crop in enumerate(crops):
        row, column = divmod(index, columns)
        upper, lower = _kept(row, rows, side, margin)
        left, right = _kept(column, columns, side, margin)
        grid = crop.reshape(side, side, -1)
        top, start = row * step, column * step
        whole[top + upper : top + lower, start + left : start + right] = grid[upper:lower, left:right]
    return whole


def pool(grid_HWD: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Pool a grid of any size to float32 [side * side, features], as torch's adaptive average pooling does.

    In both directions, cell i is the mean of cells floor(i * size / side) to ceil((i + 1) * size / side).
    """
    height, width, features = grid_HWD.shape
    by_rows = _averages(height, side) @ grid_HWD.reshape(height, -1)
    turned = by_rows.reshape(side, width, features).transpose(1, 0, 2).reshape(width, -1)
    by_columns = (_averages(width, side) @ turned).reshape(side, side, features)
    return np.ascontiguousarray(by_columns.transpose(1, 0, 2)).reshape(side * side, features)


def _kept(index: int, count: int, side: int, margin: int) -> tuple[int, int]:
    """Return the range of a crop's patches that is used: margins only where there is no neighbour."""
    return (0 if index == 0 else margin), (side if index == count - 1 else side - margin)


def _averages(size: int, side: int) -> NDArray[np.float32]:
    """Return the matrix [side, size] that averages along one direction."""
    matrix = np.zeros((side, size), np.float32)
    for cell in range(side):
        begin, end = cell * size // side, -(-(cell + 1) * size // side)
        matrix[cell, begin:end] = 1 / (end - begin)
    return matrix

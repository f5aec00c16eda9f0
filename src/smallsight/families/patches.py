"""Cuts images into patches for a vision tower, which turns its first convolution into a matrix product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def value_patches(
    pixels_HWC: NDArray[np.uint8], tables: Sequence[NDArray[np.float32]], patch_px: int
) -> NDArray[np.float32]:
    """Return an image's patches in reading order, float32 [1, patches, 3 * patch_px**2], channels first.

    Each channel has a table of the values for its 256 levels. Bytes are cut, a quarter of the values' size.
    """
    height, width, channels = pixels_HWC.shape
    rows, columns = height // patch_px, width // patch_px
    grid = pixels_HWC.reshape(rows, patch_px, columns, patch_px, channels)
    levels = np.ascontiguousarray(grid.transpose(0, 2, 4, 1, 3)).reshape(rows * columns, channels, -1)
    values = np.empty(levels.shape, np.float32)
    for channel, table in enumerate(tables):
        values[:, channel] = table.take(levels[:, channel])
    return values.reshape(1, rows * columns, -1)

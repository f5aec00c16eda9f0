"""Cuts images into patches for a vision tower, which turns its first convolution into a matrix product."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def value_patches(
    pixels_HWC: NDArray[np.uint8], tables: Sequence[NDArray[np.float32]], patch_px: int
) -> NDArray[np.float32]:
    """Return an image's patches in reading order, float32 [1, patches, 3 * patch_px**2], channels first.

    Each channel has a table of the values for its 256 levels. A row of patches is cut at a time, from bytes,
    so that what lies between stays in the cache.
    """
    height, width, channels = pixels_HWC.shape
    rows, columns = height // patch_px, width // patch_px
    grid = pixels_HWC.reshape(rows, patch_px, columns, patch_px, channels)
    values = np.empty((rows, columns, channels, patch_px * patch_px), np.float32)
    for row in range(rows):
        levels = np.ascontiguousarray(grid[row].transpose(1, 3, 0, 2)).reshape(values[row].shape)
        for channel, table in enumerate(tables):
            values[row, :, channel] = table.take(levels[:, channel], mode="clip")
    return values.reshape(1, rows * columns, -1)

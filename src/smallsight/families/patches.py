"""Cuts images into patches for a vision tower, which turns its first convolution into a matrix product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cut_patches(pixels_NCHW: NDArray[np.float32], patch_px: int) -> NDArray[np.float32]:
    """Return the patches in reading order, float32 [images, patches, 3 * patch_px**2], channels first."""
    images, channels, height, width = pixels_NCHW.shape
    rows, columns = height // patch_px, width // patch_px
    grid = pixels_NCHW.reshape(images, channels, rows, patch_px, columns, patch_px)
    return np.ascontiguousarray(grid.transpose(0, 2, 4, 1, 3, 5)).reshape(images, rows * columns, -1)

"""Patches of images."""

from __future__ import annotations

import numpy as np

from smallsight.families.patches import cut_patches


def test_patches_are_in_reading_order_and_channels_come_first():
    pixels = np.arange(2 * 3 * 4 * 6, dtype=np.float32).reshape(2, 3, 4, 6)
    patches = cut_patches(pixels, 2)
    assert patches.shape == (2, 6, 12)
    np.testing.assert_array_equal(patches[1, 4], pixels[1, :, 2:4, 2:4].reshape(-1))

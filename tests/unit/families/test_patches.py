"""Patches of images."""

from __future__ import annotations

import numpy as np

from smallsight.families.patches import value_patches


def test_patches_are_in_reading_order_and_channels_come_first():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    tables = [np.arange(256, dtype=np.float32) * factor for factor in (1, 10, 100)]
    patches = value_patches(pixels, tables, 2)
    assert patches.shape == (1, 6, 12)
    assert patches.dtype == np.float32
    fifth = [pixels[2:4, 2:4, channel].reshape(-1) * np.float32(10**channel) for channel in range(3)]
    np.testing.assert_array_equal(patches[0, 4], np.concatenate(fifth))

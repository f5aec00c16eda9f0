"""Tiles are the same, whether a picture comes as an image or as a decoder's pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smallsight.families.messages import Detail
from smallsight.families.smolvlm.image_processor import ImageProcessor, tile_of

SIDE = 64
PROCESSOR = ImageProcessor(
    {"max_image_size": {"longest_edge": SIDE}, "size": {"longest_edge": 4 * SIDE}}, Path("preprocessor.json")
)


@pytest.mark.parametrize("detail", Detail)
@pytest.mark.parametrize("size", [(300, 200), (40, 41), (64, 64), (90, 500)])
def test_pixels_and_their_image_have_the_same_tiles(size, detail):
    pixels_HWC = np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0], 3), np.uint8)
    before = pixels_HWC.copy()
    one, other = (PROCESSOR.cut(given, detail) for given in (pixels_HWC, Image.fromarray(pixels_HWC)))
    assert [tile.digest for tile in one.tiles] == [tile.digest for tile in other.tiles]
    assert (one.rows, one.columns, one.size) == (other.rows, other.columns, size)
    np.testing.assert_array_equal(pixels_HWC, before)


def test_tiles_are_in_reading_order_and_the_whole_comes_last():
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (3 * SIDE, 4 * SIDE, 3), np.uint8)
    tiled = PROCESSOR.cut(pixels_HWC, Detail.HIGH)
    assert (tiled.rows, tiled.columns, len(tiled.tiles)) == (3, 4, 13)
    for at, tile in enumerate(tiled.tiles[:-1]):
        top, left = at // 4 * SIDE, at % 4 * SIDE
        square_HWC = pixels_HWC[top : top + SIDE, left : left + SIDE]
        np.testing.assert_array_equal(tile.pixels_HWC, square_HWC)
        assert tile.digest == tile_of(square_HWC).digest
    whole = Image.fromarray(pixels_HWC).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(tiled.tiles[-1].pixels_HWC, np.asarray(whole))

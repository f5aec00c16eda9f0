"""Cells with text are those of each pixel, and a map enlarged in parts is the map enlarged as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from smallsight.reading.fine_structure import CELL_PX
from smallsight.reading.probability_maps import cells_with, in_twice_its_size

CHANCE = np.random.default_rng(2)


@pytest.mark.parametrize(
    ("copy", "image"),
    [((4, 7), (17, 30)), ((97, 130), (391, 517)), ((333, 500), (333, 500)), ((640, 480), (320, 240))],
)
def test_the_cells_are_those_of_every_pixel(copy: tuple[int, int], image: tuple[int, int]):
    pixels_HW = CHANCE.random(copy) < 0.01
    y_factor, x_factor = image[0] / copy[0], image[1] / copy[1]
    expected_HW = np.zeros([-(-side // CELL_PX) for side in image], np.bool_)
    rows, columns = np.nonzero(pixels_HW)
    expected_HW[(rows * y_factor / CELL_PX).astype(int), (columns * x_factor / CELL_PX).astype(int)] = True
    found_HW = cells_with(pixels_HW, (x_factor, y_factor), expected_HW.shape)
    assert np.array_equal(found_HW, expected_HW)


@pytest.mark.parametrize("rows", [[], [0], [99], [3, 4, 5, 60], [10, 17, 26, 35], list(range(100))])
def test_a_map_in_twice_its_size(rows: list[int]):
    map_HW = np.zeros((100, 70), np.uint8)
    for row in rows:
        first = int(CHANCE.integers(0, 60))
        map_HW[row, first : first + 10] = CHANCE.integers(1, 256, 10)
    whole_HW = np.asarray(Image.fromarray(map_HW).resize((140, 200), Image.Resampling.BILINEAR))
    assert np.array_equal(in_twice_its_size(map_HW), whole_HW)

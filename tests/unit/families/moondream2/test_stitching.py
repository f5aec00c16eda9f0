"""Stitching crops and pooling grids."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.families.moondream2.stitching import pool, stitch


@pytest.mark.parametrize(("rows", "columns", "margin"), [(1, 1, 2), (2, 3, 2), (3, 1, 1), (1, 4, 0)])
def test_crops_of_a_grid_are_stitched_to_the_grid(rows, columns, margin):
    side, width = 9, 5
    step = side - 2 * margin
    whole = np.random.default_rng(0).standard_normal(
        (rows * step + 2 * margin, columns * step + 2 * margin, width)
    )
    whole = whole.astype(np.float32)
    crops = [
        whole[row * step : row * step + side, column * step : column * step + side].reshape(
            side * side, width
        )
        for row in range(rows)
        for column in range(columns)
    ]
    np.testing.assert_array_equal(stitch(crops, rows, columns, side, margin), whole)


def test_of_two_that_overlap_each_gives_its_own_half():
    left, right = (np.full((16, 1), value, np.float32) for value in (1, 2))
    assert stitch([left, right], 1, 2, 4, 1)[0, :, 0].tolist() == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("size", [(27, 27), (46, 84), (236, 27), (5, 40), (28, 29)])
def test_pooling_is_the_mean_of_each_cells_places(size):
    grid = np.random.default_rng(1).standard_normal((*size, 3)).astype(np.float32)
    got = pool(grid, 27).reshape(27, 27, 3)
    for row, column in ((0, 0), (13, 26), (26, 1), (26, 26)):
        ranges = [
            slice(cell * length // 27, -(-(cell + 1) * length // 27))
            for cell, length in zip((row, column), size, strict=True)
        ]
        np.testing.assert_allclose(got[row, column], grid[ranges[0], ranges[1]].mean((0, 1)), atol=1e-6)


def test_a_grid_of_the_same_size_stays_as_it_is():
    grid = np.random.default_rng(2).standard_normal((27, 27, 4)).astype(np.float32)
    np.testing.assert_array_equal(pool(grid, 27), grid.reshape(729, 4))

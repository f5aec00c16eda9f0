"""Into which crops pictures are cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from smallsight.families.messages import Detail
from smallsight.families.moondream2.config import Moondream2VisionConfig
from smallsight.families.moondream2.crops import cut_crops, plan_grid

VISION = Moondream2VisionConfig(1152, 4304, 27, 16, 14, 378, 12, 4, 8192)
SIDES = st.integers(1, 65_535)


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((300, 200), (1, 1)),
        ((378, 378), (1, 1)),
        ((600, 800), (4, 2)),
        ((800, 600), (2, 4)),
        ((4000, 3000), (2, 4)),
        ((379, 379), (3, 3)),
        ((1, 20_000), (1, 1)),
        ((20_000, 1), (1, 1)),
        ((1, 1), (1, 1)),
        ((400, 20_000), (12, 1)),
    ],
)
def test_grids_of_the_reference(size, grid):
    assert plan_grid(size, Detail.HIGH, VISION) == grid


@given(SIDES, SIDES, st.sampled_from(Detail))
def test_no_picture_has_more_crops_than_the_limit(width, height, detail):
    rows, columns = plan_grid((width, height), detail, VISION)
    assert 1 <= rows * columns <= 12
    most_rows, most_columns = plan_grid((width, height), Detail.HIGH, VISION)
    assert rows <= most_rows
    assert columns <= most_columns


@given(SIDES, SIDES)
def test_auto_never_enlarges(width, height):
    rows, columns = plan_grid((width, height), Detail.AUTO, VISION)
    assert rows == 1 or rows * 266 + 112 <= height
    assert columns == 1 or columns * 266 + 112 <= width


def test_crops_overlap_and_the_whole_comes_first():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8))
    picture = cut_crops(image, Detail.HIGH, VISION)
    assert (picture.rows, picture.columns, picture.num_crops) == (2, 4, 9)
    assert picture.pixels_HWC.shape == (9 * 378, 378, 3)
    squares = picture.pixels_HWC.reshape(9, 378, 378, 3)
    np.testing.assert_array_equal(squares[1][:, 266:], squares[2][:, :112])
    np.testing.assert_array_equal(squares[1][266:], squares[5][:112])
    whole = np.asarray(image.resize((378, 378), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(squares[0], whole)


def test_a_grid_of_one_is_the_whole_alone():
    image = Image.new("RGB", (50, 400), "red")
    assert cut_crops(image, Detail.HIGH, VISION).num_crops == 1
    assert cut_crops(image.resize((2000, 2000)), Detail.LOW, VISION).num_crops == 1


def test_pictures_are_named_by_content_and_grid():
    image = Image.new("RGB", (800, 600), "red")
    names = {cut_crops(image, detail, VISION).digest for detail in Detail}
    assert len(names) == 3
    assert cut_crops(image, Detail.LOW, VISION).digest in names
    assert cut_crops(Image.new("RGB", (800, 600), "blue"), Detail.LOW, VISION).digest not in names


@pytest.mark.parametrize("detail", Detail)
def test_pixels_and_their_image_have_the_same_crops(detail):
    pixels_HWC = np.random.default_rng(1).integers(0, 256, (600, 800, 3), np.uint8)
    one, other = (cut_crops(given, detail, VISION) for given in (pixels_HWC, Image.fromarray(pixels_HWC)))
    assert one.digest == other.digest

"""Lines cut out of a picture, whichever way they stand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from smallsight.reading.line_images import LINE_HEIGHT_PX, line_corners, line_image
from smallsight.reading.text_regions import TextRegion

PAGE = (600, 400)
REGION = TextRegion(300, 200, 240, 48, 0.0, 1.0)


def written(degrees: float = 0.0) -> Image.Image:
    image = Image.new("RGB", PAGE, (127, 127, 127))
    ImageDraw.Draw(image).text(
        (300, 200), "Rotterdam 7", "white", ImageFont.load_default(size=36), anchor="mm"
    )
    return image.rotate(
        degrees, expand=degrees % 180 == 90, fillcolor=(127, 127, 127), resample=Image.Resampling.BICUBIC
    )


def difference(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


def test_a_line_as_it_stands():
    line = line_image(written(), REGION, 0)
    assert line.shape == (LINE_HEIGHT_PX, 240, 3)
    assert difference(line, np.asarray(written())[176:224, 180:420]) == 0


@pytest.mark.parametrize(("degrees", "turn"), [(-90, 1), (180, 2), (90, 3)])
def test_a_line_of_a_turned_page(degrees: int, turn: int):
    """A page turned to the right by one quarter has lines that read downwards."""
    image = written(degrees)
    is_standing = turn % 2 == 1
    size = (48, 240) if is_standing else (240, 48)
    region = TextRegion(image.width / 2, image.height / 2, *size, 0.0, 1.0)
    assert difference(line_image(image, region, turn), line_image(written(), REGION, 0)) < 1
    first, second, _, last = line_corners(region, turn)
    along = {1: (0, 1), 2: (-1, 0), 3: (0, -1)}[turn]
    assert (second - first) / 240 == pytest.approx(np.array(along), abs=1e-9)
    assert np.linalg.norm(last - first) == pytest.approx(48)


@pytest.mark.parametrize("degrees", [-30, 7, 20])
def test_a_line_at_an_angle(degrees: int):
    region = TextRegion(300, 200, 240, 48, math.radians(degrees), 1.0)
    assert difference(line_image(written(-degrees), region, 0), line_image(written(), REGION, 0)) < 9
    upside_down = line_image(written(180 - degrees), region, 2)
    assert difference(upside_down, line_image(written(), REGION, 0)) < 9


def test_a_line_that_is_stretched_or_beyond_the_edge():
    assert line_image(written(), REGION, 0, 1.25).shape == (48, 300, 3)
    beyond = TextRegion(5, 3, 100, 20, 0.0, 1.0)
    assert line_image(written(), beyond, 0).shape == (48, 240, 3)
    assert line_image(written(), TextRegion(590, 395, 100, 20, 0.3, 1.0), 2).shape == (48, 240, 3)

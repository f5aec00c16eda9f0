"""Rectangles around the marked parts of a map, at any angle."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from smallsight.reading import text_regions
from smallsight.reading.text_regions import TextRegion, find_text_regions


def marked(*boxes: tuple[int, int, int, int], degrees: float = 0.0, value: int = 255) -> np.ndarray:
    image = Image.new("L", (400, 300))
    for left, top, right, bottom in boxes:
        ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), fill=value)
    return np.asarray(image.rotate(-degrees))


def test_a_line_is_enlarged_by_what_training_shrank():
    (region,) = find_text_regions(marked((20, 40, 220, 50)))
    margin = 1.6 * 200 * 10 / 210
    assert (region.x, region.y, region.angle) == (120, 45, 0)
    assert (region.width, region.height) == pytest.approx((200 + margin, 10 + margin))
    assert region.bounds() == pytest.approx(
        (20 - margin / 2, 40 - margin / 2, 220 + margin / 2, 50 + margin / 2)
    )


@pytest.mark.parametrize("degrees", [-40, -20, -5, 3, 12, 33])
def test_a_line_at_an_angle(degrees: int):
    (region,) = find_text_regions(marked((100, 140, 300, 160), degrees=degrees))
    assert math.degrees(region.angle) == pytest.approx(degrees, abs=0.6)
    assert (region.x, region.y) == pytest.approx((200, 150), abs=1)
    assert region.height == pytest.approx(20 + 29, abs=4)


def test_a_column_keeps_its_sides():
    (region,) = find_text_regions(marked((50, 20, 60, 280)))
    assert (region.angle, region.line_height) == (0, region.width)
    assert region.height > 260


def test_what_is_too_small_faint_or_unsure_is_no_line():
    assert find_text_regions(marked((20, 20, 22, 200))) == []
    assert find_text_regions(marked((20, 20, 200, 30), value=70)) == []  # below the mark
    assert find_text_regions(marked((20, 20, 200, 30), value=100)) == []  # marked, but unlikely
    assert find_text_regions(np.zeros((30, 40), np.uint8)) == []


def test_lines_are_separate():
    boxes = [(20, top, 350, top + 8) for top in range(20, 260, 24)]
    found = find_text_regions(marked(*boxes))
    assert sorted(region.y for region in found) == [top + 4 for _, top, _, _ in boxes]


def test_a_region_in_an_image_of_another_size():
    region = TextRegion(10, 20, 40, 8, 0.0, 0.9)
    assert region.scaled(2, 4) == TextRegion(20, 80, 80, 32, 0.0, 0.9)
    turned = TextRegion(10, 20, 40, 8, 0.5, 0.9).scaled(2, 2)
    assert turned == TextRegion(20, 40, 80, 16, 0.5, 0.9)


def test_a_large_map_is_summed_in_bands(monkeypatch: pytest.MonkeyPatch):
    boxes = [(20 * row, 9 * row, 20 * row + 150, 9 * row + 7) for row in range(12)]
    map_HW = marked(*boxes, (300, 280, 400, 300), value=200)  # one ends with the last pixel
    whole = find_text_regions(map_HW)
    assert len(whole) == 13
    monkeypatch.setattr(text_regions, "_BAND_PIXELS", 1_000)
    assert find_text_regions(map_HW) == whole

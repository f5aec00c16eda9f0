"""Where an image may have letters, without a network."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from smallsight.reading.fine_structure import CELL_PX, find_fine_structure


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (640, 333)])
def test_an_even_image_has_none(size: tuple[int, int]):
    found = find_fine_structure(Image.new("RGB", size, "orange"))
    assert found.cells_HW.shape == (-(-size[1] // CELL_PX), -(-size[0] // CELL_PX))
    assert not found.cells_HW.any()
    assert found.is_flat


@pytest.mark.parametrize("size_px", [11, 14, 22])
@pytest.mark.parametrize("colours", [("white", "black"), ("#1e1f22", "#d6d6d6")])
def test_letters_have_it_and_their_surroundings_do_not(size_px: int, colours: tuple[str, str]):
    image = Image.new("RGB", (640, 320), colours[0])
    ImageDraw.Draw(image).text(
        (40, 160), "small letters of a menu", colours[1], ImageFont.load_default(size=size_px)
    )
    found = find_fine_structure(image)
    row = found.cells_HW[160 // CELL_PX : 160 // CELL_PX + 2, 3:9]
    assert row.any(0).all()
    assert not found.cells_HW[:8].any()
    assert not found.cells_HW[14:].any()
    assert found.is_flat


def test_a_photograph_is_not_flat_and_a_blurred_one_has_no_structure():
    noise = np.random.default_rng(0).integers(0, 256, (320, 320, 3), np.uint8)
    photograph = Image.fromarray(noise)
    assert find_fine_structure(photograph).cells_HW.all()
    assert not find_fine_structure(photograph).is_flat
    assert not find_fine_structure(photograph.filter(ImageFilter.GaussianBlur(6))).cells_HW.any()


def test_a_tall_image_has_that_of_its_parts():
    height_px = 2_064  # more than two bands
    pixels_HW = np.random.default_rng(4).integers(0, 256, (height_px, 70), np.uint8)
    image = Image.fromarray(pixels_HW).convert("RGB")
    edges_HW = find_fine_structure(image).edges_HW
    parts = [find_fine_structure(image.crop((0, y, 70, y + 16))).edges_HW for y in range(0, height_px, 16)]
    assert np.array_equal(edges_HW, np.concatenate(parts))

"""A part is found where a search of every place, at every size, finds it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image, ImageFilter

from smallsight.library.alike.placing import SearchedImage, find_part

LEAST_CORRELATION = 0.6


def drawn(seed: int, size: tuple[int, int]) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0]), np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(6)).point(lambda value: (value - 96) * 4)


def searched(image: Image.Image) -> SearchedImage:
    return SearchedImage(np.asarray(image))


def best_by_hand(whole: SearchedImage, part: SearchedImage) -> float:
    """Return the highest correlation with any window of the small image, at the sizes that are tried."""
    height, width = whole.small.shape
    ratio = part.image.height / part.image.width
    best, across = -1.0, float(min(width, height / ratio))
    least = max(0.35 * across, 12)
    while across >= least:
        size = round(across), round(across * ratio)
        across /= 1.06
        if size[0] > width or not 12 <= size[1] <= height:
            continue
        sample = np.asarray(part.image.resize(size, Image.Resampling.BOX), np.float64)
        for row, column in itertools.product(range(height - size[1] + 1), range(width - size[0] + 1)):
            window = whole.small[row : row + size[1], column : column + size[0]]
            if sample.std() >= 2 and window.std() >= 2:
                best = max(best, float(np.corrcoef(window.ravel(), sample.ravel())[0, 1]))
    return best


@pytest.mark.parametrize("size", [(200, 120), (90, 160)])
@pytest.mark.parametrize("box", [(0.1, 0.2, 0.6, 0.7), (0.0, 0.0, 1.0, 1.0), (0.5, 0.4, 0.95, 1.0)])
def test_a_crop_is_found_in_its_place(size, box):
    image = drawn(1, size)
    part = image.crop(tuple(round(edge * side) for edge, side in zip(box, 2 * size, strict=True)))
    found = find_part(searched(image), searched(part))
    assert found is not None
    assert found.correlation == pytest.approx(best_by_hand(searched(image), searched(part)), abs=1e-5)
    left, top, right, bottom = box
    np.testing.assert_allclose(found.rect, (top, bottom, left, right), atol=0.06)


@pytest.mark.parametrize("seed", range(2))
def test_what_lies_nowhere_is_not_found(seed):
    whole, part = searched(drawn(seed, (96, 64))), searched(drawn(seed + 10, (80, 80)))
    found, best = find_part(whole, part), best_by_hand(whole, part)
    assert (found is None) == (best < LEAST_CORRELATION)
    assert found is None or found.correlation == pytest.approx(best, abs=1e-5)


def test_flat_parts_and_parts_of_another_shape_lie_nowhere():
    image, flat = drawn(2, (100, 80)), Image.new("L", (100, 80), 77)
    assert find_part(searched(image), searched(flat)) is None
    assert find_part(searched(flat), searched(image)) is None
    assert find_part(searched(image), searched(drawn(2, (200, 9)))) is None

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from smallsight.families.smolvlm.resampling import resize_frame

SIZES = [
    (64, 48, 31, 22),
    (31, 22, 64, 48),
    (640, 3, 17, 5),
    (1, 1, 9, 9),
    (50, 40, 50, 20),
    (50, 40, 25, 40),
]


def frame(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(("width", "height", "new_width", "new_height"), SIZES)
def test_it_is_the_filter_that_pillow_has(width: int, height: int, new_width: int, new_height: int):
    image = frame(width, height)
    ours = resize_frame(image, (new_width, new_height)).astype(int)
    theirs = np.asarray(Image.fromarray(image).resize((new_width, new_height), Image.Resampling.LANCZOS))
    assert ours.shape == (new_height, new_width, 3)
    assert np.abs(ours - theirs).max() <= 2
    assert (ours != theirs).mean() < 0.2


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_one_colour_stays_it(level: int):
    image = np.full((37, 53, 3), level, np.uint8)
    for size in ((512, 512), (5, 7), (53, 9)):
        assert np.unique(resize_frame(image, size)).tolist() == [level]


def test_the_same_size_is_the_same_image():
    image = frame(20, 30)
    assert resize_frame(image, (20, 30)) is image

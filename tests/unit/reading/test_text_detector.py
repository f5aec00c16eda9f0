"""The map of many tiles is one map; the network here answers with the brightness of each pixel."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op
from PIL import Image

from smallsight.reading.text_detector import TILE_PX, TextDetector


@pytest.fixture(scope="module")
def detector() -> TextDetector:
    pixels = op.parameter([1, -1, -1, 3], np.uint8)
    brightness = op.reduce_mean(op.convert(pixels, np.float32), np.array([3]), keep_dims=False)
    map_NCHW = op.unsqueeze(op.divide(brightness, np.float32(255)), np.array([1]))
    return TextDetector(ov.compile_model(ov.Model([map_NCHW], [pixels]), "CPU"))


def noise(width_px: int, height_px: int) -> np.ndarray:
    grey = np.random.default_rng(0).integers(0, 256, (height_px, width_px, 1), np.uint8)
    return np.repeat(grey, 3, 2)


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("size", [(40, 30), (333, 500), (576, 577), (1500, 900), (100, 4000), (1153, 1153)])
def test_every_pixel_has_its_own_probability(detector: TextDetector, size: tuple[int, int]):
    pixels_HWC = noise(*size)
    map_HW = detector.probabilities(Image.fromarray(pixels_HWC))
    assert map_HW.shape == pixels_HWC.shape[:2]
    assert np.abs(map_HW.astype(int) - pixels_HWC[:, :, 0]).max() <= 1


def test_tiles_that_are_not_wanted_stay_empty(detector: TextDetector):
    pixels_HWC = noise(2 * TILE_PX, 2 * TILE_PX)
    seen = []

    def is_wanted(tile: tuple[int, int, int, int]) -> bool:
        seen.append(tile)
        return tile[0] == 0

    map_HW = detector.probabilities(Image.fromarray(pixels_HWC), is_wanted)
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in seen)
    assert covered == map_HW.size
    first_edge = min(right for _, _, right, _ in seen)
    assert map_HW[:, :first_edge].any(1).all()
    assert not map_HW[:, first_edge:].any()
    assert not detector.probabilities(Image.fromarray(noise(50, 40)), lambda _: False).any()

"""The map of many tiles is one map; the network here answers with the brightness of each pixel."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op
from PIL import Image

from smallsight.reading.closer_parts import Box, parts_of
from smallsight.reading.network_calls import runtime_detector
from smallsight.reading.text_detector import TextDetector


@pytest.fixture(scope="module")
def detector() -> TextDetector:
    pixels = op.parameter([1, -1, -1, 3], np.uint8)
    brightness = op.reduce_mean(op.convert(pixels, np.float32), np.array([3]), keep_dims=False)
    map_NCHW = op.unsqueeze(op.divide(brightness, np.float32(255)), np.array([1]))
    network = ov.compile_model(ov.Model([map_NCHW], [pixels]), "CPU")
    return TextDetector(runtime_detector(network))


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


def test_outside_the_parts_the_map_is_empty(detector: TextDetector):
    pixels_HWC = noise(1_000, 1_000)
    boxes = [Box(10, 20, 110, 80), Box(700, 30, 760, 200), Box(300, 400, 900, 980), Box(320, 380, 420, 450)]
    map_HW = detector.probabilities(
        Image.fromarray(pixels_HWC), [part for box in boxes for part in parts_of(box)]
    )
    inside_HW = np.zeros((1_000, 1_000), np.bool_)
    for box in boxes:
        inside_HW[box.top : box.bottom, box.left : box.right] = True
    assert np.abs(map_HW.astype(int) - pixels_HWC[:, :, 0])[inside_HW].max() <= 1
    assert not map_HW[~inside_HW].any()

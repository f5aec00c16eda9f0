"""The detection network after it is rewritten: the same map, and other networks as they were."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op
from PIL import Image, ImageDraw, ImageFont

from smallsight.reading.detector_graph import pixels_of_blocks, with_less_work
from smallsight.reading.ocr_networks import DETECTOR, for_pixels, read_network

IN_FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}


def text(width_px: int, height_px: int) -> np.ndarray:
    image = Image.new("RGB", (width_px, height_px), "#c8d8c0")
    ImageDraw.Draw(image).text((20, 30), "harbor lantern", "black", ImageFont.load_default(size=28))
    return np.asarray(image)[None]


def test_the_map_is_the_same_and_needs_no_enlarging_layer():
    pytest.importorskip("rapidocr")
    pixels_NHWC = text(256, 96)
    exact = ov.compile_model(for_pixels(read_network(DETECTOR)), "CPU", IN_FLOAT32)(pixels_NHWC)[0][0, 0]
    network = with_less_work(read_network(DETECTOR))
    kinds = {node.get_type_name() for node in network.get_ordered_ops()}
    assert "ConvolutionBackpropData" not in kinds
    blocks_CHW = ov.compile_model(for_pixels(network), "CPU", IN_FLOAT32)(pixels_NHWC)[0][0]
    assert blocks_CHW.dtype == np.uint8
    found_HW = pixels_of_blocks(blocks_CHW)
    assert found_HW.shape == exact.shape == (96, 256)
    assert exact.max() > 0.5  # there is text
    assert np.abs(found_HW - 255 * exact).max() <= 1.1


def test_pixels_come_from_their_block():
    blocks = np.zeros((16, 2, 3), np.uint8)
    blocks[0b0110, 1, 2] = 9  # row 0 and column 1 of the half, row 1 and column 0 of the quarter
    assert np.argwhere(pixels_of_blocks(blocks) == 9).tolist() == [[5, 10]]


def test_a_network_with_another_end_keeps_its_output():
    pixels = op.parameter([1, 3, 8, 8], np.float32)
    network = with_less_work(ov.Model([op.relu(pixels)], [pixels]))
    assert list(network.output(0).shape) == [1, 3, 8, 8]


def test_a_scale_that_is_added_and_maps_side_by_side_keep_their_values():
    values = np.random.default_rng(0)
    weights = values.normal(0, 0.3, (6, 8, 3, 3)).astype(np.float32)

    def network() -> ov.Model:
        maps = op.parameter([1, 4, 9, 9], np.float32)
        mean = op.reduce_mean(maps, np.array([2, 3]), keep_dims=True)
        scale = op.hard_sigmoid(mean, np.float32(0.2), np.float32(0.5))
        scaled = op.add(maps, op.multiply(maps, scale))
        both = op.concat([maps, scaled], 1)
        layer = op.convolution(both, op.constant(weights), [2, 2], [1, 1], [1, 1], [1, 1])
        return ov.Model([layer], [maps])

    rewritten = with_less_work(network())
    assert "Concat" not in {node.get_type_name() for node in rewritten.get_ordered_ops()}
    maps = values.normal(0, 1, (1, 4, 9, 9)).astype(np.float32)
    exact, found = (ov.compile_model(one, "CPU", IN_FLOAT32)(maps)[0] for one in (network(), rewritten))
    np.testing.assert_allclose(found, exact, atol=1e-5)

"""Networks in the extension: the values of the runtime in float32, in every size, on one and two threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op
from PIL import Image, ImageDraw, ImageFont

from smallsight.reading.detector_graph import pixels_of_blocks, with_less_work
from smallsight.reading.map_networks import MapProgram, UnknownLayerError, find_map_networks
from smallsight.reading.network_calls import map_detector, map_recogniser
from smallsight.reading.ocr_networks import DETECTOR, RECOGNISER, for_pixels, read_network

IN_FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32"}
CHANCE = np.random.default_rng(5)


@pytest.fixture(scope="module")
def extension() -> ModuleType:
    found = find_map_networks()
    if found is None:
        pytest.skip("the extension has no networks of maps for this processor")
    return found


def text(width_px: int, height_px: int) -> np.ndarray:
    image = Image.new("RGB", (width_px, height_px), "#c8d8c0")
    ImageDraw.Draw(image).text((8, 4), "harbor lantern", "black", ImageFont.load_default(size=28))
    return np.asarray(image)


def weights(*shape: int) -> ov.Node:
    scale = 1.0 / np.sqrt(np.prod(shape[1:]))
    return op.constant(CHANCE.normal(0, scale, shape).astype(np.float32))


def bias(channels: int) -> ov.Node:
    return op.constant(CHANCE.normal(0, 0.1, (1, channels, 1, 1)).astype(np.float32))


def layer(
    maps: ov.Node, outputs: int, inputs: int, side: int = 1, strides: tuple[int, int] = (1, 1)
) -> ov.Node:
    pads = [side // 2] * 2
    found = op.convolution(maps, weights(outputs, inputs, side, side), list(strides), pads, pads, [1, 1])
    return op.add(found, bias(outputs))


def filtered(maps: ov.Node, channels: int, side: int, strides: tuple[int, int] = (1, 1)) -> ov.Node:
    pads = [side // 2] * 2
    each = op.reshape(
        weights(channels, 1, side, side), np.array([channels, 1, 1, side, side]), special_zero=False
    )
    return op.add(op.group_convolution(maps, each, list(strides), pads, pads, [1, 1]), bias(channels))


def gelu(maps: ov.Node) -> ov.Node:
    one = op.add(op.erf(op.divide(maps, np.float32(np.sqrt(2)))), np.float32(1))
    return op.multiply(op.multiply(maps, one), np.float32(0.5))


def scaled(maps: ov.Node, channels: int, hidden: int, *, adds_one: bool) -> ov.Node:
    mean = op.reduce_mean(maps, np.array([2, 3]), keep_dims=True)
    inner = op.relu(layer(mean, hidden, channels))
    scale = op.hard_sigmoid(layer(inner, channels, hidden), np.float32(0.2), np.float32(0.5))
    return op.multiply(maps, op.add(scale, np.ones((1, 1, 1, 1), np.float32)) if adds_one else scale)


def network_of_all_layers() -> ov.Model:
    pixels = op.parameter([1, 3, -1, -1], np.float32)
    stem = op.relu(layer(pixels, 24, 3, 3, (2, 2)))
    largest = op.max_pool(stem, [1, 1], [1, 1], [0, 0], [0, 0], [2, 2], auto_pad="same_upper").output(0)
    squares = op.relu(
        op.add(
            op.convolution(stem, weights(24, 24, 2, 2), [1, 1], [0, 0], [0, 0], [1, 1], "same_upper"),
            bias(24),
        )
    )
    maps = op.relu(layer(op.concat([largest, squares], 1), 48, 48, 3, (2, 2)))
    maps = scaled(filtered(maps, 48, 3), 48, 12, adds_one=False)
    maps = op.add(maps, layer(gelu(layer(maps, 96, 48)), 48, 96))
    smaller = filtered(maps, 48, 3, (2, 1))
    smaller = layer(gelu(layer(smaller, 96, 48)), 80, 96)
    smaller = scaled(layer(filtered(smaller, 80, 3, (1, 2)), 48, 80), 48, 12, adds_one=True)
    enlarged = op.interpolate(
        smaller,
        op.constant(np.array([1, 1, 2, 2], np.float32)),
        "nearest",
        "scales",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    return ov.Model([op.result(filtered(op.add(maps, enlarged), 48, 7))], [pixels])


@pytest.mark.parametrize("threads", [1, 2])
def test_every_kind_of_layer_has_the_runtimes_values(extension: ModuleType, threads: int):
    graph = network_of_all_layers()
    exact = ov.compile_model(for_pixels(graph.clone()), "CPU", IN_FLOAT32)
    program = MapProgram(extension, threads)
    number = program.map_of(graph.output(0).get_node().input_value(0))
    program.network.keep(number)
    for height_px, width_px in ((64, 96), (32, 200), (160, 48), (8, 8), (64, 96)):
        pixels_HWC = CHANCE.integers(0, 256, (height_px, width_px, 3), np.uint8)
        expected_HWC = exact(pixels_HWC[None])[0][0].transpose(1, 2, 0)
        program.network.run(pixels_HWC)
        found_HWC = np.empty(program.network.size(number), np.float32)
        program.network.read(number, found_HWC)
        assert found_HWC.shape == expected_HWC.shape
        assert np.abs(found_HWC - expected_HWC).max() < 0.03 * np.abs(expected_HWC).max()


def test_an_unknown_node_is_told(extension: ModuleType):
    pixels = op.parameter([1, 3, -1, -1], np.float32)
    with pytest.raises(UnknownLayerError, match="Exp"):
        MapProgram(extension, 1).map_of(op.relu(layer(op.exp(pixels), 16, 3)).output(0))


def test_the_detectors_map_is_that_of_the_runtime(extension: ModuleType):
    pytest.importorskip("rapidocr")
    find = map_detector(read_network(DETECTOR), 2, extension)
    assert find is not None
    exact = ov.compile_model(for_pixels(with_less_work(read_network(DETECTOR))), "CPU", IN_FLOAT32)
    with pytest.raises(ValueError, match="multiples"):
        find(text(260, 100))
    for size in ((256, 96), (416, 384), (32, 32)):
        pixels_HWC = text(*size)
        expected_HW = pixels_of_blocks(exact(pixels_HWC[None])[0][0]).astype(int)
        assert np.abs(find(pixels_HWC) - expected_HW).max() <= 30
        assert np.abs(find(pixels_HWC) - expected_HW).mean() < 0.6


def test_the_detectors_map_does_not_depend_on_the_threads_or_on_what_is_computed_beside_it(
    extension: ModuleType,
):
    pytest.importorskip("rapidocr")
    find = map_detector(read_network(DETECTOR), 2, extension)
    assert find is not None
    pictures = [text(*size) for size in ((256, 96), (416, 384), (32, 32), (192, 576))] * 4
    expected = [find(pixels_HWC) for pixels_HWC in pictures]
    twins = [find.twin(1), find.twin(1), find.twin(2)]
    with ThreadPoolExecutor(len(twins)) as threads:
        begun = [threads.submit(lambda twin: [twin(one) for one in pictures], twin) for twin in twins]
        for found in begun:
            assert all(np.array_equal(*pair) for pair in zip(found.result(), expected, strict=True))


def test_the_recognisers_answer_is_that_of_the_runtime(extension: ModuleType):
    pytest.importorskip("rapidocr")
    exact = ov.compile_model(for_pixels(read_network(RECOGNISER)), "CPU", IN_FLOAT32)
    graph = read_network(RECOGNISER)
    end = graph.output(0).get_node().input_value(0)
    both = ov.Model([op.result(end), op.result(end)], graph.get_parameters())
    calls = map_recogniser(both, 2, extension, lambda rest: ov.compile_model(rest, "CPU", IN_FLOAT32))
    assert calls is not None
    for width_px in (224, 400, 96):
        pixels_HWC = text(width_px, 48)
        found_TC, twins_TC = (call(pixels_HWC)[0] for call in calls)
        assert np.array_equal(found_TC, twins_TC)
        expected_TC = exact(pixels_HWC[None])[0][0]
        assert (found_TC.argmax(1) == expected_TC.argmax(1)).all()
        assert np.abs(found_TC - expected_TC).max() < 0.1

"""Layers in int8: the ranges fit the installed weights, and rounding changes little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from smallsight.graph.compiled import activation_group
from smallsight.reading.int8_layers import layers_of, ranges_for, round_layers
from smallsight.reading.ocr_networks import RECOGNISER, read_network, weights_folder


def test_the_ranges_are_those_of_the_installed_weights(tmp_path: Path):
    pytest.importorskip("rapidocr")
    ranges = ranges_for(weights_folder() / RECOGNISER)
    assert ranges is not None
    assert set(ranges) == {layer.get_friendly_name() for layer in layers_of(read_network(RECOGNISER))}
    assert all(low <= 0 < high for low, high in ranges.values())
    other = tmp_path / RECOGNISER
    other.write_bytes(b"other weights")
    assert ranges_for(other) is None


def small_network() -> tuple[ov.Model, str]:
    weights = np.random.default_rng(0).normal(0, 0.2, (16, 12, 1, 1)).astype(np.float32)
    pixels = op.parameter([1, 12, 5, 7], np.float32)
    layer = op.convolution(pixels, op.constant(weights), [1, 1], [0, 0], [0, 0], [1, 1])
    layer.set_friendly_name("layer")
    return ov.Model([op.relu(layer)], [pixels]), "layer"


def test_rounding_changes_little_and_keeps_zero():
    network, name = small_network()
    rounded, _ = small_network()
    round_layers(rounded, {name: (-0.37, 3.1)}, has_dot_products=bool(activation_group(1)))
    run, run_rounded = (
        ov.compile_model(one, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}) for one in (network, rounded)
    )
    values = np.random.default_rng(1).uniform(-0.3, 3, (1, 12, 5, 7)).astype(np.float32)
    exact, found = run(values)[0], run_rounded(values)[0]
    assert np.abs(exact - found).max() < 0.02 * exact.max()
    assert not run_rounded(np.zeros_like(values))[0].any()
    assert (exact != found).any()  # the layer was rounded


def test_layers_without_a_range_stay_exact():
    network, _ = small_network()
    before = len(network.get_ops())
    round_layers(network, {})
    assert len(network.get_ops()) == before


def test_without_dot_products_weights_leave_room_for_a_sum_of_two():
    network, name = small_network()
    round_layers(network, {name: (-0.37, 3.1)}, has_dot_products=False)
    (layer,) = layers_of_kind(network, "Convolution")
    weights = layer.input_value(1).get_node()
    step = 2 * weights.input_value(2).get_node().data / 254
    largest = np.abs(weights.input_value(0).get_node().data).max((1, 2, 3)) / step.ravel()
    assert 2 * 255 * np.ceil(largest.max()) < 2**15


def test_without_dot_products_only_convolutions_are_rounded():
    values = op.parameter([4, 16], np.float32)
    product = op.matmul(values, op.constant(np.ones((16, 8), np.float32)), False, False)
    product.set_friendly_name("product")
    network = ov.Model([product], [values])
    round_layers(network, {"product": (0.0, 1.0)}, has_dot_products=False)
    assert not layers_of_kind(network, "FakeQuantize")
    round_layers(network, {"product": (0.0, 1.0)})
    assert layers_of_kind(network, "FakeQuantize")


def layers_of_kind(network: ov.Model, kind: str) -> list[ov.Node]:
    return [node for node in network.get_ordered_ops() if node.get_type_name() == kind]

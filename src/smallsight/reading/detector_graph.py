"""Rewrites the detection network into an equal one that computes less.

The last two layers enlarge a map fourfold, each pixel from one pixel of the layer before. They become
products at the small size, whose channels are the pixels of a block of 4 x 4. A scale that is added to what
it scales becomes one product, and a layer on two maps side by side the sum of two layers.
"""

from __future__ import annotations

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

__all__ = ["BLOCK", "pixels_of_blocks", "with_less_work"]

BLOCK = 4  # pixels of a side
_TWICE = (2, 2)


def with_less_work(network: ov.Model, *, parts_maps: bool = True) -> ov.Model:
    """Return the network, changed in place, with uint8 [1, 16, H / 4, W / 4] as its output.

    The output of a network with another end stays as it is. With ``parts_maps`` a layer on two maps side by
    side becomes two layers.
    """
    for node in network.get_ordered_ops():
        if node.get_type_name() == "Identity":
            node.output(0).replace(node.input_value(0))
    for node in network.get_ordered_ops():
        if node.get_type_name() == "Add":
            _join_scale(node)
        elif parts_maps and node.get_type_name() == "Convolution":
            _part_maps(node)
    return _in_blocks(network)


def pixels_of_blocks(blocks_CHW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the map [4 H, 4 W] whose pixels are the channels [16, H, W]."""
    _, rows, columns = blocks_CHW.shape
    pixels = blocks_CHW.reshape(2, 2, 2, 2, rows, columns).transpose(4, 0, 2, 5, 1, 3)
    return pixels.reshape(BLOCK * rows, BLOCK * columns)


def _join_scale(add: ov.Node) -> None:
    """Make ``x + x * s`` of one scale for each channel ``x * (s + 1)``."""
    for side in (0, 1):
        product, other = add.input_value(side).get_node(), add.input_value(1 - side)
        if product.get_type_name() != "Multiply":
            continue
        factors = [product.input_value(0), product.input_value(1)]
        scales = [one for one in factors if one.get_node().get_type_name() == "HardSigmoid"]
        if other in factors and len(scales) == 1:
            larger = op.add(scales[0], np.ones((1, 1, 1, 1), np.float32))
            add.output(0).replace(op.multiply(other, larger).output(0))
            return


def _part_maps(layer: ov.Node) -> None:
    """Make a layer on two maps of channels side by side the sum of two layers: nothing has to be copied."""
    joined = layer.input_value(0).get_node()
    if joined.get_type_name() != "Concat" or joined.get_input_size() != len(_TWICE):
        return
    weights, settings = layer.input_value(1).get_node().data, layer.get_attributes()
    sizes = [joined.input_value(part).get_partial_shape()[1].get_length() for part in range(2)]
    first, second = (
        op.convolution(
            joined.input_value(part),
            op.constant(np.ascontiguousarray(own)),
            settings["strides"],
            settings["pads_begin"],
            settings["pads_end"],
            settings["dilations"],
        )
        for part, own in enumerate(np.split(weights, [sizes[0]], 1))
    )
    layer.output(0).replace(op.add(first, second).output(0))


def _in_blocks(network: ov.Model) -> ov.Model:
    ends = _last_layers(network)
    if ends is None:
        return network
    features, (first_weights, first_bias), (second_weights, second_bias) = ends
    size = first_weights.shape[1]
    first = first_weights.transpose(2, 3, 1, 0).reshape(4 * size, -1, 1, 1)
    second = np.zeros((16, 4 * size, 1, 1), np.float32)
    taps = second_weights[:, 0].reshape(size, 4)
    for block in range(4):
        second[4 * block : 4 * block + 4, block * size : (block + 1) * size, 0, 0] = taps.T
    hidden = op.relu(op.add(_product(features, first), np.tile(first_bias.ravel(), 4).reshape(1, -1, 1, 1)))
    found = op.sigmoid(op.add(_product(hidden, second), second_bias.reshape(1, 1, 1, 1)))
    levels = op.convert(op.multiply(found, np.float32(255)), np.uint8)
    return ov.Model([op.result(levels)], network.get_parameters())


def _product(maps: ov.Node | ov.Output, weights: NDArray[np.float32]) -> ov.Node:
    constant = op.constant(np.ascontiguousarray(weights))
    return op.convolution(maps, constant, [1, 1], [0, 0], [0, 0], [1, 1])


def _last_layers(
    network: ov.Model,
) -> tuple[ov.Output, tuple[NDArray[np.float32], ...], tuple[NDArray[np.float32], ...]] | None:
    """Return what enters the last two layers, and weights and bias of each; None if there are others."""
    end = network.output(0).get_node().input_value(0).get_node()
    if end.get_type_name() != "Sigmoid" or (second := _enlarging(end.input_value(0))) is None:
        return None
    middle = second[0].get_node()
    if middle.get_type_name() != "Relu" or (first := _enlarging(middle.input_value(0))) is None:
        return None
    return (first[0], first[1:], second[1:]) if second[1].shape[1] == 1 else None


def _enlarging(
    output: ov.Output,
) -> tuple[ov.Output, NDArray[np.float32], NDArray[np.float32]] | None:
    """Return input, weights and bias of a layer that doubles the size without overlap, or None."""
    add = output.get_node()
    layer = add.input_value(0).get_node() if add.get_type_name() == "Add" else add
    if layer.get_type_name() != "ConvolutionBackpropData" or layer is add:
        return None
    weights, bias = layer.input_value(1).get_node(), add.input_value(1).get_node()
    if {weights.get_type_name(), bias.get_type_name()} != {"Constant"}:
        return None
    is_plain = tuple(layer.get_attributes()["strides"]) == weights.data.shape[2:] == _TWICE
    return (layer.input_value(0), weights.data, bias.data) if is_plain else None

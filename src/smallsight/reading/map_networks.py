"""Rebuilds the convolutions of the OCR networks for the extension, which computes them where AMX is.

The extension needs no preparation for a size of picture, and two layers over single pixels, which are most of
the networks' work, keep what is between them in the cache. A graph with anything unknown stays with the
runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from types import ModuleType
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from smallsight.machine.cores import usable_cores
from smallsight.machine.extension import find_extension

__all__ = ["MapProgram", "UnknownLayerError", "find_map_networks"]

_ONE = 1.0
_LEVELS = 255.0


class UnknownLayerError(Exception):
    """A graph has a node that the extension does not know."""


def find_map_networks() -> ModuleType | None:
    """Return the extension, None where it is missing or cannot compute maps on this processor."""
    module = find_extension().module
    obstacle = getattr(module, "map_network_obstacle", None)
    return None if module is None or obstacle is None or obstacle() else module


class MapProgram:
    """A network of the extension that grows with the outputs it is asked for."""

    def __init__(self, extension: ModuleType, threads: int) -> None:
        """With 0 threads one per physical core."""
        self.network = extension.MapNetwork(threads or usable_cores())
        self._maps: dict[str, int] = {}

    def twin(self, threads: int) -> MapProgram:
        """Return the same network, as far as it has grown, for more threads; weights are shared."""
        other = copy(self)
        other.network = self.network.twin(threads)
        return other

    def map_of(self, output: ov.Output) -> int:
        """Return the number of the map that an output becomes; raises UnknownLayerError."""
        node = _seen(output)
        name = node.get_friendly_name()
        if name not in self._maps:
            self._maps[name] = self._added(node)
        return self._maps[name]

    def _added(self, node: ov.Node) -> int:
        match node.get_type_name():
            case "Parameter":
                return 0
            case "Relu":
                return self._layer(_seen(node.input_value(0)), "relu")
            case "Add":
                return self._sum(node)
            case "Multiply":
                return self._scaled(node)
            case "Convolution":
                return self._layer(node, "none")
            case "MaxPool":
                return self._largest(node)
            case "Interpolate":
                return int(self.network.add_enlarged(self.map_of(node.input_value(0)), _factor(node)))
            case "Convert":
                return self._levels(node)
        raise UnknownLayerError(node.get_type_name())

    def _layer(self, node: ov.Node, activation: str) -> int:
        layer, bias = _with_bias(node)
        if layer.get_type_name() == "GroupConvolution" and activation == "none":
            weights = _constant(_seen(layer.input_value(1)))
            return int(
                self.network.add_depthwise(
                    self.map_of(layer.input_value(0)), weights, bias, *_steps(layer, weights)
                )
            )
        if layer.get_type_name() != "Convolution":
            raise UnknownLayerError(layer.get_type_name())
        if activation == "none" and (mixed := self._mixed(layer, bias, None)) is not None:
            return mixed
        source = _seen(layer.input_value(0))
        joined = source.get_type_name() == "Concat"
        sources = [source.input_value(one) for one in range(source.get_input_size())] if joined else []
        weights = _constant(_seen(layer.input_value(1)))
        if source.get_type_name() == "Parameter":
            weights = np.ascontiguousarray(weights[:, ::-1])  # trained on BGR
        return int(
            self.network.add_layer(
                [self.map_of(one) for one in sources or [layer.input_value(0)]],
                weights,
                bias,
                *_steps(layer, weights),
                activation,
            )
        )

    def _mixed(self, second: ov.Node, bias: NDArray[np.float32], added: ov.Node | None) -> int | None:
        """Add two layers over single pixels with GELU between them; None if the graph is another there."""
        if (hidden := _before_gelu(_seen(second.input_value(0)))) is None:
            return None
        first, first_bias = _with_bias(hidden)
        source = _seen(first.input_value(0))
        if added is not None and source.get_friendly_name() != added.get_friendly_name():
            return None
        return self._add_mixing(first, first_bias, second, bias, ("gelu", added is not None, "none"))

    def _add_mixing(
        self,
        first: ov.Node,
        first_bias: NDArray[np.float32],
        second: ov.Node,
        second_bias: NDArray[np.float32],
        options: tuple[str, bool, str],
    ) -> int:
        matrices = [_matrix(one) for one in (first, second)]
        return int(
            self.network.add_mixing(
                self.map_of(first.input_value(0)), matrices[0], first_bias, matrices[1], second_bias, *options
            )
        )

    def _sum(self, node: ov.Node) -> int:
        one, other = _seen(node.input_value(0)), _seen(node.input_value(1))
        if "Constant" in (one.get_type_name(), other.get_type_name()):
            return self._layer(node, "none")
        if other.get_type_name() == "Interpolate":
            maps = self.map_of(node.input_value(0)), self.map_of(other.input_value(0))
            return int(self.network.add_sum(*maps, _factor(other)))
        for added, layers in ((one, other), (other, one)):
            layer, bias = _with_bias(layers)
            if layer.get_type_name() == "Convolution":
                mixed = self._mixed(layer, bias, added)
                if mixed is not None:
                    return mixed
        return int(
            self.network.add_sum(self.map_of(node.input_value(0)), self.map_of(node.input_value(1)), 1)
        )

    def _scaled(self, node: ov.Node) -> int:
        """Add a scale for each channel, a hard sigmoid of the channels' means in two layers."""
        scale, adds_one = _seen(node.input_value(1)), False
        if scale.get_type_name() == "Add":
            one = _constant(_seen(scale.input_value(1)))
            scale, adds_one = _seen(scale.input_value(0)), True
            if one.size != 1 or float(one.ravel()[0]) != _ONE:
                raise UnknownLayerError("Add")
        if scale.get_type_name() != "HardSigmoid":
            raise UnknownLayerError(scale.get_type_name())
        widen, widen_bias = _with_bias(_seen(scale.input_value(0)))
        narrow, narrow_bias = _with_bias(_only(_seen(widen.input_value(0)), "Relu"))
        mean = _seen(narrow.input_value(0))
        source = _seen(mean.input_value(0))
        if (
            mean.get_type_name() != "ReduceMean"
            or source.get_friendly_name() != _seen(node.input_value(0)).get_friendly_name()
        ):
            raise UnknownLayerError(mean.get_type_name())
        slope, offset = (float(_constant(_seen(scale.input_value(part))).ravel()[0]) for part in (1, 2))
        arrays = (_matrix(narrow), narrow_bias, _matrix(widen), widen_bias)
        return int(self.network.add_scale(self.map_of(node.input_value(0)), *arrays, slope, offset, adds_one))

    def _largest(self, node: ov.Node) -> int:
        settings = node.get_attributes()
        is_known = (list(settings["kernel"]), list(settings["strides"])) == ([2, 2], [1, 1])
        is_known = is_known and settings["auto_pad"] == "same_upper"
        if not is_known or _seen(node.input_value(0)).get_type_name() != "Relu":  # the padding is zero
            raise UnknownLayerError("MaxPool")
        return int(self.network.add_largest(self.map_of(node.input_value(0)), 2))

    def _levels(self, node: ov.Node) -> int:
        times = _only(node, "Convert")
        factor = _constant(_seen(times.input_value(1)))
        if times.get_type_name() != "Multiply" or factor.size != 1 or float(factor.ravel()[0]) != _LEVELS:
            raise UnknownLayerError("Convert")
        second, bias = _with_bias(_only(_seen(times.input_value(0)), "Sigmoid"))
        first, first_bias = _with_bias(_only(_seen(second.input_value(0)), "Relu"))
        bias = np.broadcast_to(bias, (_matrix(second).shape[0],)).copy()
        return self._add_mixing(first, first_bias, second, bias, ("relu", False, "levels"))


def _seen(output: ov.Output) -> ov.Node:
    """Return the node of an output, without those that change nothing or only a constant's shape."""
    node = output.get_node()
    while node.get_type_name() in ("Identity", "Reshape"):
        node = node.input_value(0).get_node()
    return node


def _only(node: ov.Node, kind: str) -> ov.Node:
    """Return what enters a node of a kind."""
    if node.get_type_name() != kind:
        raise UnknownLayerError(node.get_type_name())
    return _seen(node.input_value(0))


def _constant(node: ov.Node) -> NDArray[np.float32]:
    if node.get_type_name() != "Constant":
        raise UnknownLayerError(node.get_type_name())
    return np.ascontiguousarray(node.data, np.float32)


def _with_bias(node: ov.Node) -> tuple[ov.Node, NDArray[np.float32]]:
    """Return a layer and its bias, zeros if it has none."""
    if node.get_type_name() != "Add":
        size = node.get_output_partial_shape(0)[1] if node.get_output_size() else None
        if node.get_type_name() not in ("Convolution", "GroupConvolution") or size is None:
            return node, np.zeros(0, np.float32)
        return node, np.zeros(size.get_length(), np.float32)
    layer, bias = _seen(node.input_value(0)), _seen(node.input_value(1))
    if bias.get_type_name() != "Constant":
        return node, np.zeros(0, np.float32)
    return layer, _constant(bias).ravel()


def _matrix(layer: ov.Node) -> NDArray[np.float32]:
    """Return the weights of a layer over single pixels, [outputs, inputs]."""
    if layer.get_type_name() != "Convolution":
        raise UnknownLayerError(layer.get_type_name())
    weights = _constant(_seen(layer.input_value(1)))
    if weights.shape[2:] != (1, 1) or list(layer.get_attributes()["strides"]) != [1, 1]:
        raise UnknownLayerError("Convolution")
    return np.ascontiguousarray(weights[:, :, 0, 0])


def _steps(layer: ov.Node, weights: NDArray[np.float32]) -> tuple[list[int], list[int]]:
    """Return the strides, and the padding on top, left, bottom and right."""
    settings: Mapping[str, Any] = layer.get_attributes()
    if list(settings["dilations"]) != [1, 1]:
        raise UnknownLayerError("Convolution")
    if settings["auto_pad"] == "same_upper":
        if list(settings["strides"]) != [1, 1]:
            raise UnknownLayerError("Convolution")
        before = [(side - 1) // 2 for side in weights.shape[2:]]
        after = [side - 1 - one for side, one in zip(weights.shape[2:], before, strict=True)]
        return [1, 1], before + after
    pads = [int(one) for one in (*settings["pads_begin"], *settings["pads_end"])]
    return [int(one) for one in settings["strides"]], pads


def _factor(node: ov.Node) -> int:
    """Return how many times larger both sides become, each pixel as it is."""
    settings = node.get_attributes()
    scales = _constant(_seen(node.input_value(1))).ravel()
    factor = round(float(scales[-1]))
    is_known = (settings["mode"], settings["shape_calculation_mode"]) == ("nearest", "scales")
    if not is_known or scales.tolist() != [1.0, 1.0, factor, factor]:
        raise UnknownLayerError("Interpolate")
    return factor


def _before_gelu(node: ov.Node) -> ov.Node | None:
    """Return what enters ``x * (1 + erf(x / sqrt(2))) * 0.5``; None if the node is not its end."""
    if node.get_type_name() != "Multiply" or _seen(node.input_value(1)).get_type_name() != "Constant":
        return None
    product = _seen(node.input_value(0))
    if product.get_type_name() != "Multiply":
        return None
    whole = _seen(product.input_value(1))
    if whole.get_type_name() != "Add" or _seen(whole.input_value(0)).get_type_name() != "Erf":
        return None
    return _seen(product.input_value(0))

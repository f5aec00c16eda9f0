"""Lets the runtime compute the large layers of a network in int8, from ranges that were measured beforehand.

Weights are rounded to 8 bits for each output channel, the inputs of a layer to 8 bits over their range. The
ranges belong to one file of weights, which they name by its SHA-256; ``training/reading_ranges.py`` measures
them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as op

__all__ = ["layers_of", "ranges_for", "round_layers"]

RANGES = Path(__file__).parent / "recogniser_ranges.json"
_LEAST_CHANNELS = 8  # a layer on the colours of pixels stays exact
_WEIGHT_LEVELS = 255  # -127 ... 127
_INPUT_LEVELS = 256
_LEAST = 1e-6


def ranges_for(weights: Path) -> Mapping[str, tuple[float, float]] | None:
    """Return the lowest and highest input of each layer; None if they were measured with other weights."""
    stored = json.loads(RANGES.read_bytes())
    if hashlib.sha256(weights.read_bytes()).hexdigest() != stored["weights_sha256"]:
        return None
    return {name: (float(low), float(high)) for name, (low, high) in stored["ranges"].items()}


def layers_of(network: ov.Model) -> Iterator[ov.Node]:
    """Yield the convolutions and products with constant weights; not those of single channels."""
    for node in list(network.get_ordered_ops()):
        if node.get_type_name() in ("Convolution", "MatMul"):
            weights = node.input_value(1).get_node()
            if weights.get_type_name() == "Constant" and weights.get_output_shape(0)[1] >= _LEAST_CHANNELS:
                yield node


def round_layers(
    network: ov.Model, ranges: Mapping[str, tuple[float, float]], *, has_dot_products: bool = True
) -> None:
    """Round the weights and inputs of the layers whose ranges are known, in place.

    Without dot products for int8, AVX2 adds two products in 16 bits, which weights of 7 bits never overflow;
    only convolutions are faster then.
    """
    spread = np.float32(1 if has_dot_products else 2)
    for node in layers_of(network):
        if (found := ranges.get(node.get_friendly_name())) is None:
            continue
        if not has_dot_products and node.get_type_name() != "Convolution":
            continue
        weights = node.input_value(1)
        values = weights.get_node().data
        axes = tuple(range(1, values.ndim)) if node.get_type_name() == "Convolution" else (0,)
        limits = spread * np.maximum(np.abs(values).max(axes, keepdims=True), _LEAST).astype(np.float32)
        rounded = op.fake_quantize(weights, -limits, limits, -limits, limits, _WEIGHT_LEVELS)
        low, high = (np.float32(one) for one in _with_exact_zero(*found))
        entering = op.fake_quantize(node.input_value(0), low, high, low, high, _INPUT_LEVELS)
        node.input(0).replace_source_output(entering.output(0))
        node.input(1).replace_source_output(rounded.output(0))
    network.validate_nodes_and_infer_types()


def _with_exact_zero(low: float, high: float) -> tuple[float, float]:
    """Return the range, a little wider, in which one of the levels is zero: it is what padding is."""
    low, high = min(low, 0.0), max(high, _LEAST)
    steps = _INPUT_LEVELS - 1
    below = min(round(-low / (high - low) * steps), steps - 1)
    return -high * below / (steps - below), high

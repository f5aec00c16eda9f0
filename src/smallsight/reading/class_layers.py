"""Parts the last layer of the text recogniser, because most text needs few of its 18,710 classes.

All classes for each step of a line, and the softmax over them, take a third of the network's time and most
of its memory. So each step gets the common classes, which are letters, digits and signs, and every 18th of
the others as a probe. Where no probe comes near the best common class, none of those that it stands for
would have won. The other steps are classified again among all (``class_steps.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

__all__ = ["PartedClasses", "part_classes"]

_COMMON = ((0x0000, 0x0250), (0x0370, 0x03D0), (0x2010, 0x2040), (0x20A0, 0x20C0), (0x2100, 0x2200))
_PROBES_EVERY = 18
_LEAST = 1e-30  # a probability, so that it has a logarithm


@dataclass(frozen=True, eq=False)
class PartedClasses:
    """Networks that share the work of one.

    ``few`` maps its input to logits [1, T, F] of the classes ``few_F``, of which the first ``num_common`` are
    the common ones, and to features [1, T, D]. ``every`` maps features [S, D] to the probabilities of all
    classes, [S, C]; None if ``few_F`` has all.
    """

    few: ov.Model
    few_F: NDArray[np.int64]
    num_common: int
    every: ov.Model | None


def part_classes(network: ov.Model, characters: Sequence[str]) -> PartedClasses:
    """Return the network in two parts; whole, if it does not end in a product, a bias and a softmax."""
    is_common_C = np.array([_is_common(character) for character in characters])
    end = _last_layer(network)
    if end is None or is_common_C.all():
        return _whole(network, len(characters))
    features, product, bias_C = end
    weights_DC = product.input_value(1).get_node().data
    few_F = np.concatenate([np.flatnonzero(is_common_C), np.flatnonzero(~is_common_C)[::_PROBES_EVERY]])
    logits = _layer(features, weights_DC[:, few_F], bias_C[few_F], product.get_friendly_name())
    few = ov.Model([op.result(logits), op.result(features)], network.get_parameters())
    one = op.parameter([-1, weights_DC.shape[0]], np.float32)
    all_logits = _layer(one.output(0), weights_DC, bias_C, product.get_friendly_name())
    every = ov.Model([op.result(op.softmax(all_logits, 1))], [one])
    return PartedClasses(few, few_F, int(is_common_C.sum()), every)


def _whole(network: ov.Model, num_classes: int) -> PartedClasses:
    """Return the network with the logarithms of its probabilities as logits, which they are."""
    found = network.output(0).get_node().input_value(0)
    logits = op.log(op.maximum(found, np.float32(_LEAST)))
    few = ov.Model([op.result(logits), op.result(found)], network.get_parameters())
    return PartedClasses(few, np.arange(num_classes), num_classes, None)


def _is_common(character: str) -> bool:
    """Return whether a class is the blank or a character that European text may have."""
    if not character:
        return True
    return len(character) == 1 and any(first <= ord(character) < after for first, after in _COMMON)


def _last_layer(network: ov.Model) -> tuple[ov.Output, ov.Node, NDArray[np.float32]] | None:
    """Return what enters the last layer, its product and its bias; None if the network has another end."""
    softmax = network.output(0).get_node().input_value(0).get_node()
    if softmax.get_type_name() != "Softmax":
        return None
    add = softmax.input_value(0).get_node()
    while add.get_type_name() == "Identity":
        add = add.input_value(0).get_node()
    if add.get_type_name() != "Add":
        return None
    sides = [add.input_value(0).get_node(), add.input_value(1).get_node()]
    sides.sort(key=lambda node: node.get_type_name() == "Constant")
    product, bias = sides
    if (product.get_type_name(), bias.get_type_name()) != ("MatMul", "Constant"):
        return None
    if product.input_value(1).get_node().get_type_name() != "Constant":
        return None
    return product.input_value(0), product, bias.data.reshape(-1)


def _layer(
    features: ov.Output, weights_DC: NDArray[np.float32], bias_C: NDArray[np.float32], name: str
) -> ov.Node:
    """Return a product and a bias; the product's name finds its range for int8."""
    product = op.matmul(features, op.constant(np.ascontiguousarray(weights_DC)), False, False)
    product.set_friendly_name(name)
    return op.add(product, op.constant(np.ascontiguousarray(bias_C)))

"""Layer normalisation, RMS normalisation and unit length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops

from smallsight.graph.constants import along_last, integers, scalar

SHORTEST_LENGTH = 1e-12


def layer_norm(
    hidden_BTD: Node, weight_D: NDArray[np.float32], bias_D: NDArray[np.float32], epsilon: float
) -> Node:
    """Normalise each token's vector to mean 0 and variance 1, then scale and shift it."""
    normalised = ops.mvn(hidden_BTD, integers(-1), True, epsilon, "inside_sqrt")
    scaled = ops.multiply(normalised, along_last(weight_D, hidden_BTD))
    return ops.add(scaled, along_last(bias_D, hidden_BTD))


def unit_length(vectors_BD: Node) -> Node:
    """Divide each vector by its Euclidean length; zero vectors stay zero."""
    return ops.normalize_l2(vectors_BD, integers(1), SHORTEST_LENGTH, "max")


def rms_norm(hidden_TD: Node, weight_D: NDArray[np.float32], epsilon: float) -> Node:
    """Divide each token's vector by its root mean square, then scale it; the plugin fuses this chain."""
    squares = ops.power(hidden_TD, scalar(2.0))
    mean_T1 = ops.reduce_mean(squares, integers(-1), keep_dims=True)
    root_T1 = ops.sqrt(ops.add(mean_T1, scalar(epsilon)))
    normalised = ops.multiply(hidden_TD, ops.divide(scalar(1.0), root_T1))
    return ops.multiply(normalised, ops.constant(weight_D.reshape(1, -1)))

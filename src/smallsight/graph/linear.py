"""The linear layer, with its weight in whatever form the scheme chose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops

from smallsight.graph.constants import StoredMatrix, matrix


def linear(hidden_BTI: Node, weight_OI: StoredMatrix, bias_O: NDArray[np.float32]) -> Node:
    """Return ``hidden @ weight.T + bias``, [batch, tokens, outputs]."""
    product = ops.matmul(hidden_BTI, matrix(weight_OI), transpose_a=False, transpose_b=True)
    return ops.add(product, ops.constant(bias_O.reshape(1, 1, -1)))

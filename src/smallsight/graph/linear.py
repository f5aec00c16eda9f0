"""The linear layer, with a weight in any stored form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops

from smallsight.graph.compiled import imitates_bf16
from smallsight.graph.constants import BF16Bits, StoredMatrix, along_last, bf16_matrix, matrix


def linear(hidden: Node, weight_OI: StoredMatrix, bias_O: NDArray[np.float32] | None = None) -> Node:
    """Return ``hidden @ weight.T + bias`` over the last axis of [..., inputs]."""
    product = _multiply(hidden, weight_OI)
    if bias_O is None:
        return product
    return ops.add(product, along_last(bias_O, hidden))


def _multiply(hidden: Node, weight_OI: StoredMatrix) -> Node:
    """Return ``hidden @ weight.T``; a bfloat16 weight is used directly, because widening would copy it.

    It is widened where the runtime would imitate bfloat16, because a row's bits depend on its place there.
    """
    if not isinstance(weight_OI, BF16Bits) or imitates_bf16():
        return ops.matmul(hidden, matrix(weight_OI), transpose_a=False, transpose_b=True)
    narrow = ops.convert(hidden, "bf16")
    return ops.convert(ops.matmul(narrow, bf16_matrix(weight_OI), transpose_a=False, transpose_b=True), "f32")

"""Looks up embedding rows by token id."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops

from smallsight.graph.constants import Int8Matrix, integers


def embed_tokens(table_VD: NDArray[np.float32] | Int8Matrix, token_ids_BT: Node) -> Node:
    """Return the ids' rows, float32 [batch, tokens, dimensions].

    Rows of an int8 table are scaled after the lookup, so that the table stays int8 in memory.
    """
    if isinstance(table_VD, np.ndarray):
        return _take(table_VD, token_ids_BT)
    codes_BTD = ops.convert(_take(table_VD.codes, token_ids_BT), "f32")
    return ops.multiply(codes_BTD, _take(table_VD.scales, token_ids_BT))


def _take(table: np.ndarray, token_ids_BT: Node) -> Node:
    return ops.gather(ops.constant(table), token_ids_BT, integers(0))

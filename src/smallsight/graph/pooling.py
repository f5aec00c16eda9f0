"""Pools token vectors to one vector per text."""

from __future__ import annotations

from openvino import Node
from openvino import opset15 as ops

from smallsight.graph.constants import integers


def mean_over_tokens(hidden_BTD: Node, mask_BT: Node) -> Node:
    """Average the tokens whose mask is 1, at least one per text; returns [batch, dimensions]."""
    visible_BTD = ops.multiply(hidden_BTD, ops.unsqueeze(mask_BT, integers(2)))
    total_BD = ops.reduce_sum(visible_BTD, integers(1), keep_dims=False)
    return ops.divide(total_BD, ops.reduce_sum(mask_BT, integers(1), keep_dims=True))

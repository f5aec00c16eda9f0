"""Bidirectional attention over padded batches."""

from __future__ import annotations

from openvino import Node
from openvino import opset15 as ops

from smallsight.graph.constants import integers, scalar

HIDDEN_SCORE = -1e9


def padding_scores(mask_BT: Node) -> Node:
    """Return a term for attention scores, [batch, 1, 1, tokens]: 0 where the mask is 1, else -1e9."""
    hidden = ops.multiply(ops.subtract(scalar(1.0), mask_BT), scalar(HIDDEN_SCORE))
    return ops.unsqueeze(hidden, integers(1, 2))


def attend(query_BTD: Node, key_BTD: Node, value_BTD: Node, scores_B11T: Node, num_heads: int) -> Node:
    """Return bidirectional attention with ``num_heads`` heads, [batch, tokens, dimensions].

    Scores are divided by the square root of the head's size; ``scores_B11T`` is added to them.
    """
    heads_BHTE = ops.scaled_dot_product_attention(
        _split_heads(query_BTD, num_heads),
        _split_heads(key_BTD, num_heads),
        _split_heads(value_BTD, num_heads),
        scores_B11T,
    )
    heads_BTHE = ops.transpose(heads_BHTE, integers(0, 2, 1, 3))
    dimensions = query_BTD.get_output_partial_shape(0)[2].get_length()
    return ops.reshape(heads_BTHE, integers(0, 0, dimensions), special_zero=True)


def _split_heads(hidden_BTD: Node, num_heads: int) -> Node:
    heads_BTHE = ops.reshape(hidden_BTD, integers(0, 0, num_heads, -1), special_zero=True)
    return ops.transpose(heads_BTHE, integers(0, 2, 1, 3))

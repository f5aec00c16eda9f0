"""Transformer encoder layers over stored weights: attention, then two linear layers, each normalised before.

``<layer>.attention.weight`` holds query, key and value in one matrix, because they have the same input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops

from smallsight.graph.activation import Activation, activate, split
from smallsight.graph.constants import integers
from smallsight.graph.linear import linear
from smallsight.graph.norm import layer_norm


@dataclass(frozen=True)
class EncoderLayers:
    """The layers of one encoder; with ``is_causal`` a token attends to itself and those before it."""

    stored: Mapping[str, Any]  # of a StoredMatrix each
    width: int
    heads: int
    norm_epsilon: float
    activation: Activation
    is_causal: bool = False

    def layer(self, name: str, hidden_NTD: Node) -> Node:
        """Return [sequences, tokens, width] after the layer of this name."""
        attended = self._attend(name, self.norm(f"{name}.attention_norm", hidden_NTD))
        hidden_NTD = ops.add(hidden_NTD, attended)
        return ops.add(hidden_NTD, self.widen_and_narrow(name, self.norm(f"{name}.ffn_norm", hidden_NTD)))

    def widen_and_narrow(self, name: str, hidden: Node) -> Node:
        """Apply the two linear layers, with the activation between them."""
        widened = activate(self.linear(f"{name}.ffn_up", hidden), self.activation)
        return self.linear(f"{name}.ffn_down", widened)

    def linear(self, name: str, hidden: Node) -> Node:
        """Apply a linear layer with a bias."""
        return linear(hidden, self.stored[f"{name}.weight"], self.vector(f"{name}.bias"))

    def norm(self, name: str, hidden: Node) -> Node:
        """Apply a layer norm."""
        scale, shift = self.vector(f"{name}.weight"), self.vector(f"{name}.bias")
        return layer_norm(hidden, scale, shift, self.norm_epsilon)

    def vector(self, name: str) -> NDArray[np.float32]:
        """Return a weight that is not a matrix of a linear layer."""
        return np.asarray(self.stored[name], np.float32)

    def heads_of(self, hidden_NTD: Node) -> Node:
        """Return [sequences, heads, tokens, width / heads]."""
        shape = integers(0, 0, self.heads, self.width // self.heads)
        return ops.transpose(ops.reshape(hidden_NTD, shape, special_zero=True), integers(0, 2, 1, 3))

    def joined(self, heads_NHTE: Node) -> Node:
        """Return [sequences, tokens, width], the opposite of ``heads_of``."""
        heads_NTHE = ops.transpose(heads_NHTE, integers(0, 2, 1, 3))
        return ops.reshape(heads_NTHE, integers(0, 0, self.width), special_zero=True)

    def _attend(self, name: str, hidden_NTD: Node) -> Node:
        """Attend among all tokens, or the earlier ones; query, key and value are one product."""
        joined = self.linear(f"{name}.attention", hidden_NTD)
        query, key, value = (self.heads_of(one) for one in split(joined, *[self.width] * 3))
        heads_NHTE = ops.scaled_dot_product_attention(query, key, value, causal=self.is_causal)
        return self.linear(f"{name}.output", self.joined(heads_NHTE))

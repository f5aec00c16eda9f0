"""The network from embedded tokens to logits: layers with attention and feed-forward network in parallel.

Source: vikhyat/moondream 8ac77eb, torch/text.py and torch/rope.py. The reference reads rotary pairs as halves
but writes them interleaved. That reorders queries and keys in the same way, so their products are the same
as with halves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops

from smallsight.families.moondream2.config import Moondream2Config, Moondream2TextConfig
from smallsight.graph.activation import gelu, split
from smallsight.graph.constants import integers
from smallsight.graph.linear import linear
from smallsight.graph.norm import layer_norm
from smallsight.graph.paged_attention import PagedInputs, attend_paged, cache_inputs, paged_inputs
from smallsight.graph.rotary import Rotation, rotate_heads, rotation_at
from smallsight.quant.forms import Stored

NORM_EPSILON = 1e-5
ROPE_THETA = 10_000.0


def build_text_graph(config: Moondream2Config, stored: Mapping[str, Stored]) -> ov.Model:
    """Build the decoder over the output of ``stored.store_text``, which must outlive the compiled network.

    Inputs: ``embeddings`` float32 [tokens, hidden] of all sequences concatenated, ``positions`` int64
    [tokens], ``logit_rows`` int64 [rows], the tokens whose logits are wanted; then those of
    ``graph.paged_attention`` with token types (1 in a prefix), with caches layer by layer. Outputs: float32
    [rows, vocabulary], and [rows, hidden] before the last norm, which the region head reads.
    """
    return _PhiBuilder(config.text, stored).build()


@dataclass(frozen=True)
class _PhiBuilder:
    text: Moondream2TextConfig
    stored: Mapping[str, Stored]

    def build(self) -> ov.Model:
        embeddings_TD = ops.parameter([-1, self.text.hidden], np.float32, name="embeddings")
        positions_T = ops.parameter([-1], np.int64, name="positions")
        logit_rows_R = ops.parameter([-1], np.int64, name="logit_rows")
        paged = paged_inputs(has_token_types=True)
        parameters = [embeddings_TD, positions_T, logit_rows_R, *paged.parameters]
        rotation = rotation_at(
            positions_T,
            self.text.head_dim,
            ROPE_THETA,
            num_positions=self.text.context_tokens,
            rotated_dims=self.text.rotated_dims,
        )
        hidden_TD = embeddings_TD
        for layer in range(self.text.layers):
            caches = cache_inputs(layer, self.text.heads, self.text.head_dim)
            parameters += caches
            hidden_TD = self._layer(f"text.layers.{layer}", hidden_TD, rotation, caches, paged)
        wanted_RD = ops.gather(hidden_TD, logit_rows_R, integers(0))
        logits_RV = self._linear("head", self._norm("text.norm", wanted_RD))
        results = [ops.result(ops.convert(one, "f32")) for one in (logits_RV, wanted_RD)]
        return ov.Model(results, parameters, "moondream2-text")

    def _layer(
        self, name: str, hidden_TD: Node, rotation: Rotation, caches: tuple[Node, Node], paged: PagedInputs
    ) -> Node:
        normed = self._norm(f"{name}.norm", hidden_TD)
        attended = self._linear(f"{name}.output", self._attend(name, normed, rotation, caches, paged))
        widened = gelu(self._linear(f"{name}.ffn_up", normed), "tanh")
        return ops.add(ops.add(hidden_TD, attended), self._linear(f"{name}.ffn_down", widened))

    def _attend(
        self, name: str, hidden_TD: Node, rotation: Rotation, caches: tuple[Node, Node], paged: PagedInputs
    ) -> Node:
        """Rotate queries and keys together, in one operation instead of two."""
        width, heads = self.text.hidden, self.text.heads
        joined = self._linear(f"{name}.query_key_value", hidden_TD)
        query_and_key, value = split(joined, 2 * width, width)
        query, key = split(rotate_heads(query_and_key, 2 * heads, rotation), width, width)
        return attend_paged(
            (query, key, value), caches, paged, num_kv_heads=heads, head_dim=self.text.head_dim
        )

    def _linear(self, name: str, hidden: Node) -> Node:
        return linear(hidden, self.stored[f"{name}.weight"], self._array(f"{name}.bias"))

    def _norm(self, name: str, hidden: Node) -> Node:
        return layer_norm(hidden, self._array(f"{name}.weight"), self._array(f"{name}.bias"), NORM_EPSILON)

    def _array(self, name: str) -> NDArray[np.float32]:
        return np.asarray(self.stored[name], np.float32)

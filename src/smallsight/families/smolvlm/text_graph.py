"""The network from embedded tokens to logits: a Llama decoder over a paged KV cache.

Source: transformers 5.x, models/llama.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset15 as ops

from smallsight.families.smolvlm.config import SmolVLMConfig, SmolVLMTextConfig
from smallsight.graph.activation import gated_silu, split
from smallsight.graph.constants import integers
from smallsight.graph.linear import linear
from smallsight.graph.norm import rms_norm
from smallsight.graph.paged_attention import PagedInputs, attend_paged, cache_inputs, paged_inputs
from smallsight.graph.rotary import Rotation, rotate_heads, rotation_at
from smallsight.quant.forms import Stored


def build_text_graph(config: SmolVLMConfig, stored: Mapping[str, Stored]) -> ov.Model:
    """Build the decoder over the output of ``stored.store_text``, which must outlive the compiled network.

    Inputs: ``embeddings`` float32 [tokens, hidden] of all sequences concatenated, ``positions`` int64
    [tokens], ``logit_rows`` int64 [rows], the tokens whose logits are wanted; then those of
    ``graph.paged_attention``, with caches layer by layer. Output: float32 [rows, vocabulary].
    """
    return build_decoder(config.text, stored)


def build_decoder(text: SmolVLMTextConfig, stored: Mapping[str, Stored]) -> ov.Model:
    """Build the decoder from its sizes alone; otherwise as ``build_text_graph``."""
    return _LlamaBuilder(text, stored).build()


@dataclass(frozen=True)
class _LlamaBuilder:
    text: SmolVLMTextConfig
    stored: Mapping[str, Stored]

    def build(self) -> ov.Model:
        embeddings_TD = ops.parameter([-1, self.text.hidden], np.float32, name="embeddings")
        positions_T = ops.parameter([-1], np.int64, name="positions")
        logit_rows_R = ops.parameter([-1], np.int64, name="logit_rows")
        paged = paged_inputs()
        parameters = [embeddings_TD, positions_T, logit_rows_R, *paged.parameters]
        rotation = rotation_at(
            positions_T,
            self.text.head_dim,
            self.text.rope_theta,
            num_positions=self.text.context_tokens,
        )
        hidden_TD = embeddings_TD
        for layer in range(self.text.layers):
            caches = cache_inputs(layer, self.text.kv_heads, self.text.head_dim)
            parameters += caches
            hidden_TD = self._layer(f"text.layers.{layer}", hidden_TD, rotation, caches, paged)
        wanted_RD = ops.gather(hidden_TD, logit_rows_R, integers(0))
        logits_RV = linear(self._norm("text.norm", wanted_RD), self.stored["head.weight"])
        return ov.Model([ops.result(ops.convert(logits_RV, "f32"))], parameters, "smolvlm-text")

    def _layer(
        self, name: str, hidden_TD: Node, rotation: Rotation, caches: tuple[Node, Node], paged: PagedInputs
    ) -> Node:
        normed = self._norm(f"{name}.attention_norm", hidden_TD)
        attended = self._attend(name, normed, rotation, caches, paged)
        hidden_TD = ops.add(hidden_TD, self._linear(f"{name}.output", attended))
        normed = self._norm(f"{name}.ffn_norm", hidden_TD)
        gate_and_up = self._linear(f"{name}.ffn_gate_up", normed)
        gated = gated_silu(gate_and_up, self.text.ffn)
        return ops.add(hidden_TD, self._linear(f"{name}.ffn_down", gated))

    def _attend(
        self, name: str, hidden_TD: Node, rotation: Rotation, caches: tuple[Node, Node], paged: PagedInputs
    ) -> Node:
        """Rotate queries and keys together, in one operation instead of two."""
        text = self.text
        rotated_heads = text.heads + text.kv_heads
        kv_width = text.kv_heads * text.head_dim
        joined = self._linear(f"{name}.attention", hidden_TD)
        query_and_key, value = split(joined, rotated_heads * text.head_dim, kv_width)
        rotated = rotate_heads(query_and_key, rotated_heads, rotation)
        query, key = split(rotated, text.heads * text.head_dim, kv_width)
        return attend_paged(
            (query, key, value), caches, paged, num_kv_heads=text.kv_heads, head_dim=text.head_dim
        )

    def _linear(self, name: str, hidden: Node) -> Node:
        return linear(hidden, self.stored[f"{name}.weight"])

    def _norm(self, name: str, hidden: Node) -> Node:
        weight = np.asarray(self.stored[f"{name}.weight"], np.float32)
        return rms_norm(hidden, weight, self.text.norm_epsilon)

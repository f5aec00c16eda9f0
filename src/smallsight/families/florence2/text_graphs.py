"""BART as two networks: the encoder with the cross-attention keys and values, and one step of the decoder.

Source: transformers 5.x, models/bart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops

from smallsight.families.florence2.config import Florence2Config
from smallsight.graph.activation import gelu, split
from smallsight.graph.constants import integers, scalar
from smallsight.graph.linear import linear
from smallsight.graph.norm import layer_norm
from smallsight.quant.forms import Stored
from smallsight.quant.scheme import ArithmeticType

NORM_EPSILON = 1e-5
POSITION_OFFSET = 2  # unused rows of the table before the first position


TYPES = {"f32": ov.Type.f32, "bf16": ov.Type.bf16}


def build_encoder_graph(
    config: Florence2Config, stored: Mapping[str, Stored], arithmetic: ArithmeticType
) -> ov.Model:
    """Build the encoder. ``stored`` must outlive the compiled network.

    Inputs: ``embeddings`` float32 [prompts, tokens, hidden] of pictures and text; ``positions`` int64
    [tokens]. Outputs for each decoder layer, in the type of ``arithmetic``: keys [prompts, heads, head,
    tokens] and values [prompts, heads, tokens, head].
    """
    return _BartBuilder(config, stored, arithmetic).encoder()


def build_decoder_graph(
    config: Florence2Config, stored: Mapping[str, Stored], arithmetic: ArithmeticType
) -> ov.Model:
    """Build one step of the decoder for all beams of all prompts. ``stored`` must outlive it.

    Inputs: ``embeddings`` float32 [beams of all prompts, 1, hidden]; ``position`` int64 [1]; ``parents``
    int32 [beams of all prompts], the previous step's beam that each one continues; ``memory_scores`` float32
    [prompts, 1, 1, tokens], 0 for tokens and -inf for padding; ``key.L`` and ``value.L``, the encoder's
    outputs. Output: float32 [beams, vocabulary]. The self-attention keys and values are the network's state.
    """
    return _BartBuilder(config, stored, arithmetic).decoder()


@dataclass(frozen=True)
class _BartBuilder:
    config: Florence2Config
    stored: Mapping[str, Stored]
    arithmetic: ArithmeticType

    @property
    def head(self) -> int:
        return self.config.hidden // self.config.heads

    def encoder(self) -> ov.Model:
        embeddings = ops.parameter([-1, -1, self.config.hidden], np.float32, name="embeddings")
        positions = ops.parameter([-1], np.int64, name="positions")
        hidden = self._embed("encoder", embeddings, positions)
        for layer in range(self.config.encoder_layers):
            name = f"encoder.layers.{layer}"
            query, key, value = self._self_heads(name, hidden)
            attended = self._joined(ops.scaled_dot_product_attention(query, key, value))
            hidden = self._after(name, "self", hidden, attended)
            hidden = self._feed_forward(name, hidden)
        results = []
        for layer in range(self.config.decoder_layers):
            memory = self._linear(f"decoder.layers.{layer}.cross_memory", hidden)
            key, value = (self._heads(half) for half in split(memory, *[self.config.hidden] * 2))
            turned = ops.transpose(key, integers(0, 1, 3, 2))
            results += [ops.result(ops.convert(half, self.arithmetic)) for half in (turned, value)]
        return ov.Model(results, [embeddings, positions], "florence2-encoder")

    def decoder(self) -> ov.Model:
        config = self.config
        embeddings = ops.parameter([-1, 1, config.hidden], np.float32, name="embeddings")
        position = ops.parameter([1], np.int64, name="position")
        parents = ops.parameter([-1], np.int32, name="parents")
        scores = ops.parameter([-1, 1, 1, -1], np.float32, name="memory_scores")
        parameters, sinks = [embeddings, position, parents, scores], []
        hidden = self._embed("decoder", embeddings, position)
        for layer in range(config.decoder_layers):
            name = f"decoder.layers.{layer}"
            query, key, value = self._self_heads(name, hidden)
            key, kept_key = self._with_history(f"{name}.key", key, parents)
            value, kept_value = self._with_history(f"{name}.value", value, parents)
            sinks += [kept_key, kept_value]
            attended = self._joined(ops.scaled_dot_product_attention(query, key, value))
            hidden = self._after(name, "self", hidden, attended)
            memory = [
                ops.parameter([-1, config.heads, *shape], TYPES[self.arithmetic], name=f"{side}.{layer}")
                for side, shape in (("key", (self.head, -1)), ("value", (-1, self.head)))
            ]
            parameters += memory
            hidden = self._after(
                name, "cross", hidden, self._cross_attend(name, hidden, memory[0], memory[1], scores)
            )
            hidden = self._feed_forward(name, hidden)
        last = ops.reshape(hidden, integers(-1, config.hidden), special_zero=False)
        logits = ops.convert(linear(last, self.stored["head.weight"]), "f32")
        return ov.Model([ops.result(logits)], sinks, parameters, "florence2-decoder")

    def _embed(self, side: str, embeddings: Node, positions: Node) -> Node:
        table = self._array(f"{side}.positions")[POSITION_OFFSET:]
        placed = ops.add(embeddings, ops.gather(ops.constant(table), positions, integers(0)))
        return self._norm(f"{side}.embedding_norm", placed)

    def _self_heads(self, name: str, hidden: Node) -> list[Node]:
        width = self.config.hidden
        joined = self._linear(f"{name}.self_attention", hidden)
        return [self._heads(piece) for piece in split(joined, width, width, width)]

    def _with_history(self, name: str, new: Node, parents: Node) -> tuple[Node, Node]:
        """Append new keys or values to the parents' state; return the result and the node that stores it."""
        batch = ops.gather(ops.shape_of(new), integers(0), integers(0))
        empty_shape = ops.concat([batch, integers(self.config.heads, 0, self.head)], 0)
        empty = ops.broadcast(ops.constant(np.float32(0)), empty_shape)
        shape = [-1, self.config.heads, -1, self.head]
        before = ops.read_value(empty, name, np.float32, ov.PartialShape(shape))
        whole = ops.concat([ops.gather(before, parents, integers(0)), new], 2)
        return whole, ops.assign(whole, name)

    def _cross_attend(self, name: str, hidden: Node, key: Node, value: Node, scores: Node) -> Node:
        """Attend to a prompt's encoded tokens, with its beams as queries."""
        queries = self._linear(f"{name}.cross_query", hidden)
        prompts = ops.gather(ops.shape_of(key), integers(0), integers(0))
        by_prompt = ops.concat([prompts, integers(-1, self.config.heads, self.head)], 0)
        query = ops.transpose(ops.reshape(queries, by_prompt, special_zero=False), integers(0, 2, 1, 3))
        key, value = (ops.convert(half, "f32") for half in (key, value))
        scaled = ops.multiply(query, scalar(self.head**-0.5))
        likeness = ops.add(ops.matmul(scaled, key, transpose_a=False, transpose_b=False), scores)
        seen = ops.matmul(ops.softmax(likeness, -1), value, transpose_a=False, transpose_b=False)
        seen = ops.transpose(seen, integers(0, 2, 1, 3))
        return ops.reshape(seen, integers(-1, 1, self.config.hidden), special_zero=False)

    def _after(self, name: str, kind: str, hidden: Node, attended: Node) -> Node:
        """Project the attention's output, add it to the input and normalise."""
        added = ops.add(hidden, self._linear(f"{name}.{kind}_output", attended))
        return self._norm(f"{name}.{kind}_norm", added)

    def _feed_forward(self, name: str, hidden: Node) -> Node:
        widened = gelu(self._linear(f"{name}.ffn_up", hidden))
        return self._norm(f"{name}.ffn_norm", ops.add(hidden, self._linear(f"{name}.ffn_down", widened)))

    def _heads(self, hidden: Node) -> Node:
        shape = integers(0, 0, self.config.heads, self.head)
        return ops.transpose(ops.reshape(hidden, shape, special_zero=True), integers(0, 2, 1, 3))

    def _joined(self, heads: Node) -> Node:
        return ops.reshape(
            ops.transpose(heads, integers(0, 2, 1, 3)), integers(0, 0, self.config.hidden), special_zero=True
        )

    def _linear(self, name: str, hidden: Node) -> Node:
        return linear(hidden, self.stored[f"{name}.weight"], self._array(f"{name}.bias"))

    def _norm(self, name: str, hidden: Node) -> Node:
        return layer_norm(hidden, self._array(f"{name}.weight"), self._array(f"{name}.bias"), NORM_EPSILON)

    def _array(self, name: str) -> NDArray[np.float32]:
        return np.asarray(self.stored[name], np.float32)

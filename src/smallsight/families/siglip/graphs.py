"""SigLIP's two networks: a picture's patches to its vector, and a text's words to its vector.

Source: transformers 5.x, models/siglip.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset15 as ops

from smallsight.families.dual_encoder.config import DualEncoderConfig, EncoderConfig
from smallsight.families.dual_encoder.weights import EncoderStoring, EncoderTensors
from smallsight.graph.activation import split
from smallsight.graph.constants import integers
from smallsight.graph.encoder_layers import EncoderLayers
from smallsight.graph.linear import linear
from smallsight.graph.norm import unit_length
from smallsight.quant.forms import Stored

LEAST_CHANCE = 0.001  # that a picture and a text belong together
NAMES = {
    "text.projection": "text_model.head",
    "vision.pool.probe": "vision_model.head.probe",
    "vision.pool.attention.weight": "vision_model.head.attention.in_proj_weight",
    "vision.pool.attention.bias": "vision_model.head.attention.in_proj_bias",
    "vision.pool.output": "vision_model.head.attention.out_proj",
    "vision.pool.ffn_norm": "vision_model.head.layernorm",
    "vision.pool.ffn_up": "vision_model.head.mlp.fc1",
    "vision.pool.ffn_down": "vision_model.head.mlp.fc2",
    "logit.bias": "logit_bias",
}


def store_vision(weights: EncoderTensors, storing: EncoderStoring) -> Iterator[tuple[str, Stored]]:
    """Yield the patches' weights and the pooling head, whose query is the same for every picture."""
    # The filters are never integers, which lose precision on raw pixels.
    filters = weights.take("vision.patches.weight")
    yield "vision.patches.weight", filters.reshape(len(filters), -1)
    yield "vision.positions", weights.take("vision.positions") + weights.take("vision.patches.bias")
    width = len(filters)
    weight, bias = weights.take("vision.pool.attention.weight"), weights.take("vision.pool.attention.bias")
    probe = weights.take("vision.pool.probe").reshape(-1)
    yield "vision.pool.query", weight[:width] @ probe + bias[:width]
    yield "vision.pool.attention.weight", storing.store(weight[width:])
    yield "vision.pool.attention.bias", bias[width:]
    yield from storing.product("vision.pool.output", "vision.pool.output")
    yield from storing.plain("vision.pool.ffn_norm.weight", "vision.pool.ffn_norm.bias")
    yield from storing.product("vision.pool.ffn_up", "vision.pool.ffn_up")
    yield from storing.product("vision.pool.ffn_down", "vision.pool.ffn_down")


def store_text(weights: EncoderTensors, storing: EncoderStoring) -> Iterator[tuple[str, Stored]]:
    """Yield the positions and the projection."""
    yield "text.positions", weights.take("text.positions")
    yield from storing.product("text.projection", "text.projection")


def least_similarity(weights: EncoderTensors) -> float:
    """Return the cosine to which the network gives one chance in a thousand, by its own scale and bias."""
    scale, bias = float(weights.take("logit.scale")[0]), float(weights.take("logit.bias")[0])
    return (math.log(LEAST_CHANCE / (1 - LEAST_CHANCE)) - bias) / math.exp(scale)


def build_vision_graph(
    config: DualEncoderConfig, stored: Mapping[str, Stored], pool_heads: int | None = None
) -> ov.Model:
    """Build the network over stored weights, which must outlive the compiled network.

    The pooling head has as many heads as the encoder, unless ``pool_heads`` says otherwise. Input
    ``patches``, float32 [1, patches, 3 * patch_px**2], from ``families.patches``; output float32
    [1, dimensions] of length 1.
    """
    encoder = _layers(config.vision, stored)
    shape = [1, config.num_patches, 3 * config.patch_px**2]
    patches_NPC = ops.parameter(shape, np.float32, name="patches")
    projected = linear(patches_NPC, encoder.vector("vision.patches.weight"))
    hidden_NPD = ops.add(projected, ops.constant(encoder.vector("vision.positions")[None]))
    for layer in range(config.vision.layers):
        hidden_NPD = encoder.layer(f"vision.layers.{layer}", hidden_NPD)
    pool = encoder if pool_heads is None else replace(encoder, heads=pool_heads)
    vectors_ND = _vectors(pool, _pooled(pool, encoder.norm("vision.norm", hidden_NPD)))
    return ov.Model([ops.result(vectors_ND)], [patches_NPC], "siglip-vision")


def build_text_graph(config: DualEncoderConfig, stored: Mapping[str, Stored]) -> ov.Model:
    """Build the network over stored weights, which must outlive the compiled network.

    Input ``words``, float32 [1, text_positions, hidden], rows of the table of token embeddings, padded
    without a mask, as the network was trained; output float32 [1, dimensions] of length 1.
    """
    encoder = _layers(config.text, stored)
    words_NTD = ops.parameter([1, config.text_positions, config.text.hidden], np.float32, name="words")
    hidden_NTD = ops.add(words_NTD, ops.constant(encoder.vector("text.positions")[None]))
    for layer in range(config.text.layers):
        hidden_NTD = encoder.layer(f"text.layers.{layer}", hidden_NTD)
    last_ND = ops.gather(hidden_NTD, ops.constant(np.int64(config.text_positions - 1)), integers(1))
    vectors_ND = unit_length(encoder.linear("text.projection", encoder.norm("text.norm", last_ND)))
    return ov.Model([ops.result(ops.convert(vectors_ND, "f32"))], [words_NTD], "siglip-text")


def _vectors(encoder: EncoderLayers, pooled_N1D: Node) -> Node:
    """Return float32 [pictures, width] of length 1, from the joined heads of the attention."""
    attended_N1D = encoder.linear("vision.pool.output", pooled_N1D)
    normalised = encoder.norm("vision.pool.ffn_norm", attended_N1D)
    hidden_N1D = ops.add(attended_N1D, encoder.widen_and_narrow("vision.pool", normalised))
    return ops.convert(unit_length(ops.squeeze(hidden_N1D, integers(1))), "f32")


def _pooled(encoder: EncoderLayers, hidden_NPD: Node) -> Node:
    """Attend from one learnt query to all patches, and return [pictures, 1, width], the joined heads."""
    keys, values = split(encoder.linear("vision.pool.attention", hidden_NPD), *[encoder.width] * 2)
    query_N1D = ops.constant(encoder.vector("vision.pool.query")[None, None])
    heads_NH1E = ops.scaled_dot_product_attention(
        encoder.heads_of(query_N1D), encoder.heads_of(keys), encoder.heads_of(values)
    )
    return encoder.joined(heads_NH1E)


def _layers(config: EncoderConfig, stored: Mapping[str, Stored]) -> EncoderLayers:
    return EncoderLayers(stored, config.hidden, config.heads, config.norm_epsilon, config.activation)

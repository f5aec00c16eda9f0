"""CLIP's two networks: a picture's patches to its vector, and a text's words to its vector.

Source: transformers 5.x, models/clip.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset15 as ops

from smallsight.families.dual_encoder.config import DualEncoderConfig
from smallsight.families.dual_encoder.weights import EncoderStoring, EncoderTensors
from smallsight.graph.constants import integers
from smallsight.graph.encoder_layers import EncoderLayers
from smallsight.graph.linear import linear
from smallsight.graph.norm import unit_length
from smallsight.quant.forms import Stored

# Its training compares cosines with each other only, so no probability belongs to one. Those of pictures and
# texts that do not belong together are below this in published examples.
LEAST_SIMILARITY = 0.2
NAMES = {
    "text.projection": "text_projection",
    "vision.first_token": "vision_model.embeddings.class_embedding",
    "vision.first_norm": "vision_model.pre_layrnorm",
    "vision.projection": "visual_projection",
}


def store_vision(weights: EncoderTensors, storing: EncoderStoring) -> Iterator[tuple[str, Stored]]:
    """Yield the patches' weights and the projection; the first token is added to its position."""
    # The filters are never integers, which lose precision on raw pixels.
    filters = weights.take("vision.patches.weight")
    yield "vision.patches.weight", filters.reshape(len(filters), -1)
    positions_TD = weights.take("vision.positions").copy()
    positions_TD[0] += weights.take("vision.first_token")
    yield "vision.positions", positions_TD
    yield from storing.plain("vision.first_norm.weight", "vision.first_norm.bias")
    yield from storing.product("vision.projection", "vision.projection", has_bias=False)


def store_text(weights: EncoderTensors, storing: EncoderStoring) -> Iterator[tuple[str, Stored]]:
    """Yield the positions and the projection."""
    yield "text.positions", weights.take("text.positions")
    yield from storing.product("text.projection", "text.projection", has_bias=False)


def least_similarity(_weights: EncoderTensors) -> float:
    """Return the same for every CLIP."""
    return LEAST_SIMILARITY


def build_vision_graph(config: DualEncoderConfig, stored: Mapping[str, Stored]) -> ov.Model:
    """Build the network over stored weights, which must outlive the compiled network.

    Input ``patches``, float32 [1, patches, 3 * patch_px**2], from ``families.patches``; output float32
    [1, dimensions] of length 1.
    """
    vision = config.vision
    encoder = EncoderLayers(stored, vision.hidden, vision.heads, vision.norm_epsilon, vision.activation)
    shape = [1, config.num_patches, 3 * config.patch_px**2]
    patches_NPC = ops.parameter(shape, np.float32, name="patches")
    projected_NPD = linear(patches_NPC, encoder.vector("vision.patches.weight"))
    first_N1D = ops.constant(np.zeros((1, 1, vision.hidden), np.float32))  # it is in the positions
    tokens_NTD = ops.concat([first_N1D, projected_NPD], axis=1)
    hidden_NTD = ops.add(tokens_NTD, ops.constant(encoder.vector("vision.positions")[None]))
    hidden_NTD = encoder.norm("vision.first_norm", hidden_NTD)
    for layer in range(vision.layers):
        hidden_NTD = encoder.layer(f"vision.layers.{layer}", hidden_NTD)
    first_ND = ops.gather(hidden_NTD, ops.constant(np.int64(0)), integers(1))
    return _model(encoder.norm("vision.norm", first_ND), stored["vision.projection.weight"], [patches_NPC])


def build_text_graph(config: DualEncoderConfig, stored: Mapping[str, Stored]) -> ov.Model:
    """Build the network over stored weights, which must outlive the compiled network.

    Inputs ``words``, float32 [1, tokens, hidden], rows of the table of token embeddings, and ``position``,
    int32 [1], of the token whose vector stands for the text; output float32 [1, dimensions] of length 1.
    """
    text = config.text
    encoder = EncoderLayers(
        stored, text.hidden, text.heads, text.norm_epsilon, text.activation, is_causal=True
    )
    words_NTD = ops.parameter([1, -1, text.hidden], np.float32, name="words")
    position_1 = ops.parameter([1], np.int32, name="position")
    num_tokens = ops.gather(ops.shape_of(words_NTD), integers(1), integers(0))
    table_PD = ops.constant(encoder.vector("text.positions"))
    positions_TD = ops.slice(table_PD, integers(0), num_tokens, integers(1), integers(0))
    hidden_NTD = ops.add(words_NTD, ops.unsqueeze(positions_TD, integers(0)))
    for layer in range(text.layers):
        hidden_NTD = encoder.layer(f"text.layers.{layer}", hidden_NTD)
    last_N1D = ops.gather(hidden_NTD, position_1, integers(1))
    last_ND = ops.squeeze(last_N1D, integers(1))
    return _model(
        encoder.norm("text.norm", last_ND), stored["text.projection.weight"], [words_NTD, position_1]
    )


def _model(pooled_ND: Node, projection_OI: Stored, inputs: list[Node]) -> ov.Model:
    vectors_ND = unit_length(linear(pooled_ND, projection_OI))
    return ov.Model([ops.result(ops.convert(vectors_ND, "f32"))], inputs, "clip")

"""The text embedder's network: token ids and their mask in, vectors of length 1 out."""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset15 as ops

from smallsight.families.minilm.config import MiniLMConfig
from smallsight.families.minilm.weights import LayerWeights, MiniLMWeights, ScaleShift
from smallsight.graph.activation import gelu
from smallsight.graph.attention import attend, padding_scores
from smallsight.graph.constants import integers
from smallsight.graph.embedding import embed_tokens
from smallsight.graph.linear import linear
from smallsight.graph.norm import layer_norm, unit_length
from smallsight.graph.pooling import mean_over_tokens
from smallsight.graph.row_probe import ProbedMatrix
from smallsight.quant.scheme import EmbedderPrecision, store_matrix


def build_graph(config: MiniLMConfig, weights: MiniLMWeights, precision: EmbedderPrecision) -> ov.Model:
    """Build the network including its weights.

    Inputs ``token_ids`` and ``mask``, both int32 [batch, tokens]; the mask is 1 for tokens and 0 for the
    padding after them. Output float32 [batch, hidden_size], rows of length 1. In int8, the matrices of linear
    layers and the word table are int8; the rest stays float32.
    """
    token_ids_BT = ops.parameter([-1, -1], np.int32, name="token_ids")
    mask_input_BT = ops.parameter([-1, -1], np.int32, name="mask")
    mask_BT = ops.convert(mask_input_BT, "f32")
    scores_B11T = padding_scores(mask_BT)
    hidden_BTD = _embed(config, weights, precision, token_ids_BT)
    for layer in weights.layers:
        hidden_BTD = _layer(config, layer, precision, hidden_BTD, scores_B11T)
    vectors_BD = unit_length(mean_over_tokens(hidden_BTD, mask_BT))
    return ov.Model([ops.result(vectors_BD)], [token_ids_BT, mask_input_BT], "minilm")


def product_matrices(config: MiniLMConfig, precision: EmbedderPrecision) -> list[ProbedMatrix]:
    """Return a random matrix for each matrix shape of the network, for ``probe_rows``."""
    hidden, wide = config.hidden_size, config.intermediate_size
    form = "int8-rows" if precision == "int8" else precision
    values = np.random.default_rng(0)
    return [
        ProbedMatrix(form, shape, store_matrix(values.standard_normal(shape, np.float32), precision))
        for shape in ((hidden, hidden), (wide, hidden), (hidden, wide))
    ]


def _embed(
    config: MiniLMConfig, weights: MiniLMWeights, precision: EmbedderPrecision, token_ids_BT: Node
) -> Node:
    """Sum the word, position and token type embeddings; a single text has token type 0 throughout."""
    words_BTD = embed_tokens(store_matrix(weights.words, precision), token_ids_BT)
    table_PD = weights.positions[: config.max_tokens] + weights.token_types[0]
    num_tokens = ops.gather(ops.shape_of(token_ids_BT), integers(1), integers(0))
    positions_TD = ops.slice(ops.constant(table_PD), integers(0), num_tokens, integers(1), integers(0))
    return _norm(config, weights.norm, ops.add(words_BTD, ops.unsqueeze(positions_TD, integers(0))))


def _layer(
    config: MiniLMConfig,
    layer: LayerWeights,
    precision: EmbedderPrecision,
    hidden_BTD: Node,
    scores_B11T: Node,
) -> Node:
    """Apply attention, then two linear layers; each result is added to its input and normalised."""
    attended_BTD = attend(
        _linear(layer.query, precision, hidden_BTD),
        _linear(layer.key, precision, hidden_BTD),
        _linear(layer.value, precision, hidden_BTD),
        scores_B11T,
        config.num_heads,
    )
    attended_BTD = ops.add(hidden_BTD, _linear(layer.attended, precision, attended_BTD))
    hidden_BTD = _norm(config, layer.attended_norm, attended_BTD)
    wide_BTI = gelu(_linear(layer.widen, precision, hidden_BTD))
    return _norm(config, layer.norm, ops.add(hidden_BTD, _linear(layer.narrow, precision, wide_BTI)))


def _linear(layer: ScaleShift, precision: EmbedderPrecision, hidden_BTI: Node) -> Node:
    return linear(hidden_BTI, store_matrix(layer.weight, precision), layer.bias)


def _norm(config: MiniLMConfig, layer: ScaleShift, hidden_BTD: Node) -> Node:
    return layer_norm(hidden_BTD, layer.weight, layer.bias, config.norm_epsilon)

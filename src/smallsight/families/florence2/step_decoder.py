"""The decoder's sizes and weights in the order of computation; ``text_graphs`` is the same network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from smallsight.families.florence2.config import Florence2Config
from smallsight.families.florence2.text_graphs import NORM_EPSILON, POSITION_OFFSET
from smallsight.families.step_decoder import DecoderLayerWeights, DecoderSizes, StepDecoder
from smallsight.quant.forms import Stored


def step_decoder(config: Florence2Config, stored: Mapping[str, Stored]) -> StepDecoder:
    """Return the decoder over the output of ``stored.store_text``."""
    sizes = DecoderSizes(
        layers=config.decoder_layers,
        hidden=config.hidden,
        heads=config.heads,
        kv_heads=config.heads,
        head_dim=config.hidden // config.heads,
        ffn=config.ffn,
        vocabulary=config.vocabulary,
        context_tokens=config.text_positions,
        norm_epsilon=NORM_EPSILON,
        rope_theta=1.0,
        rotated_dims=0,
        kind="cross",
    )

    def pair(name: str) -> tuple[Stored, Stored]:
        return stored[f"{name}.weight"], stored[f"{name}.bias"]

    def layer(index: int) -> DecoderLayerWeights:
        name = f"decoder.layers.{index}"
        products = ("self_attention", "self_output", "ffn_up", "ffn_down", "cross_query", "cross_output")
        matrices, biases = zip(*[pair(f"{name}.{one}") for one in products], strict=True)
        norms = [one for norm in ("self_norm", "cross_norm", "ffn_norm") for one in pair(f"{name}.{norm}")]
        return DecoderLayerWeights(tuple(norms), matrices, biases)

    return StepDecoder(sizes, layer, pair("decoder.embedding_norm"), stored["head.weight"])


def decoder_positions(stored: Mapping[str, Stored]) -> NDArray[np.float32]:
    """Return what is added to the embedding of each position, [positions, hidden]."""
    return np.asarray(stored["decoder.positions"], np.float32)[POSITION_OFFSET:]

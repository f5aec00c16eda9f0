"""The decoder's sizes and weights in the order of computation; ``text_graph`` is the same network."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from smallsight.families.moondream2.config import Moondream2Config
from smallsight.families.moondream2.text_graph import NORM_EPSILON, ROPE_THETA
from smallsight.families.step_decoder import DecoderLayerWeights, DecoderSizes, StepDecoder
from smallsight.quant.forms import Stored


def step_decoder(config: Moondream2Config, stored: Mapping[str, Stored]) -> StepDecoder:
    """Return the decoder over the output of ``stored.store_text``."""
    text = config.text
    sizes = DecoderSizes(
        layers=text.layers,
        hidden=text.hidden,
        heads=text.heads,
        kv_heads=text.heads,
        head_dim=text.head_dim,
        ffn=len(np.asarray(stored["text.layers.0.ffn_up.bias"])),  # padded to whole groups
        vocabulary=text.vocabulary,
        context_tokens=text.context_tokens,
        norm_epsilon=NORM_EPSILON,
        rope_theta=ROPE_THETA,
        rotated_dims=text.rotated_dims,
        kind="parallel",
        prefix_tokens=config.prefix_tokens,
    )

    def pair(name: str) -> tuple[Stored, Stored]:
        return stored[f"{name}.weight"], stored[f"{name}.bias"]

    def layer(index: int) -> DecoderLayerWeights:
        names = ("query_key_value", "output", "ffn_up", "ffn_down")
        both = [pair(f"text.layers.{index}.{name}") for name in names]
        (attention, output, up, down), biases = zip(*both, strict=True)
        return DecoderLayerWeights(
            pair(f"text.layers.{index}.norm"), (attention, output, up, down), tuple(biases)
        )

    return StepDecoder(sizes, layer, pair("text.norm"), *pair("head"))

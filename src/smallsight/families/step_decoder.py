"""A decoder's sizes and weights in the order of computation, for an engine that has no graph of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smallsight.quant.forms import Stored

LayerKind: TypeAlias = Literal["gated", "parallel", "cross"]


@dataclass(frozen=True)
class DecoderSizes:
    """The sizes of a decoder, and the kind of its layers.

    ``gated``: RMS norms and gated SiLU one after the other. ``parallel``: one layer norm, attention and a
    GELU network side by side, and biases. ``cross``: attention, attention to an encoder's output and a GELU
    network with a layer norm after each, and biases; positions are in the embeddings. Otherwise the first
    ``rotated_dims`` of a head are rotated. The first ``prefix_tokens`` of a sequence may attend to one
    another in both directions.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocabulary: int
    context_tokens: int
    norm_epsilon: float
    rope_theta: float
    rotated_dims: int
    kind: LayerKind = "gated"
    prefix_tokens: int = 0

    def frequencies(self) -> NDArray[np.float32]:
        """Return the angle per position of each pair of a head's rotated dimensions."""
        exponents = np.arange(0, self.rotated_dims, 2, dtype=np.float32) / np.float32(self.rotated_dims)
        return (1.0 / self.rope_theta**exponents).astype(np.float32)


@dataclass(frozen=True, eq=False)
class DecoderLayerWeights:
    """One layer: query, key and value; output; gate and up, or up; down; a cross layer's query and output.

    ``norms`` are the two scales, the scale and the shift of a parallel layer, or the three pairs of a cross
    layer, after attention, cross attention and the network. There is a bias for every matrix, or none.
    """

    norms: tuple[Stored, ...]
    matrices: tuple[Stored, ...]
    biases: tuple[Stored, ...] = ()


@dataclass(frozen=True, eq=False)
class StepDecoder:
    """Sizes and stored weights; ``layer`` returns those of one layer, ``head_bias`` may be missing.

    ``norm`` comes before the head, or, with cross layers, after the embeddings.
    """

    sizes: DecoderSizes
    layer: Callable[[int], DecoderLayerWeights]
    norm: tuple[Stored, ...]
    head: Stored
    head_bias: Stored | None = None


def llama_decoder(config: Any, stored: Mapping[str, Stored]) -> StepDecoder:  # noqa: ANN401 - a family's
    """Return a Llama-like decoder; the configuration has attributes with the names of ``DecoderSizes``."""
    sizes = DecoderSizes(
        layers=config.layers,
        hidden=config.hidden,
        heads=config.heads,
        kv_heads=config.kv_heads,
        head_dim=config.head_dim,
        ffn=config.ffn,
        vocabulary=config.vocabulary,
        context_tokens=config.context_tokens,
        norm_epsilon=config.norm_epsilon,
        rope_theta=config.rope_theta,
        rotated_dims=config.head_dim,
    )

    def layer(index: int) -> DecoderLayerWeights:
        def weight(name: str) -> Stored:
            return stored[f"text.layers.{index}.{name}.weight"]

        return DecoderLayerWeights(
            (weight("attention_norm"), weight("ffn_norm")),
            (weight("attention"), weight("output"), weight("ffn_gate_up"), weight("ffn_down")),
        )

    return StepDecoder(sizes, layer, (stored["text.norm.weight"],), stored["head.weight"])

"""A Llama-like decoder's sizes and weights by name, for an engine that computes its steps without a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from smallsight.quant.forms import Stored


@dataclass(frozen=True)
class LlamaSizes:
    """The sizes of a decoder with RMS norms, rotary positions over whole heads and gated SiLU."""

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

    def frequencies(self) -> NDArray[np.float32]:
        """Return the angle per position of each pair of a head's dimensions."""
        exponents = np.arange(0, self.head_dim, 2, dtype=np.float32) / np.float32(self.head_dim)
        return (1.0 / self.rope_theta**exponents).astype(np.float32)


@dataclass(frozen=True, eq=False)
class LlamaDecoder:
    """Sizes and stored weights. Each layer has ``attention_norm`` and ``ffn_norm``, and ``MATRICES``."""

    sizes: LlamaSizes
    stored: Mapping[str, Stored]

    @classmethod
    def of(cls, config: Any, stored: Mapping[str, Stored]) -> Self:  # noqa: ANN401 - a family's
        """Take the sizes from a family's configuration that has attributes with their names."""
        return cls(LlamaSizes(**{one.name: getattr(config, one.name) for one in fields(LlamaSizes)}), stored)

    MATRICES = ("attention", "output", "ffn_gate_up", "ffn_down")

    def layer(self, index: int, name: str) -> Stored:
        """Return a weight of one layer."""
        return self.stored[f"text.layers.{index}.{name}.weight"]

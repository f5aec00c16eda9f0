"""A SmolVLM's weights in stored form: which matrices are concatenated, and their names.

Products with the same input are one matrix: query, key and value; gate and up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from smallsight.families.smolvlm.config import SmolVLMConfig
from smallsight.families.smolvlm.vision_positions import position_ids
from smallsight.families.smolvlm.weights import SmolVLMWeights
from smallsight.quant.forms import Stored
from smallsight.quant.scheme import Module, Scheme

STORED_VERSION = 2  # increment when the same weights would be stored differently


def store_vision(
    weights: SmolVLMWeights, config: SmolVLMConfig, scheme: Scheme
) -> Iterator[tuple[str, Stored]]:
    """Yield every weight of ``vision_graph``, by name, reading the checkpoint lazily."""
    store = _Storing(weights, scheme, Module.VISION)
    # Never in integers, which lose precision on raw pixels; the bias is the same for all patches and is
    # added to the positions.
    filters = weights.take("vision.patches.weight").reshape(config.vision.hidden, -1)
    yield "vision.patches.weight", filters
    positions = weights.take("vision.positions")[position_ids(config.vision.patches_per_side)]
    yield "vision.positions", positions + weights.take("vision.patches.bias")
    for layer in range(config.vision.layers):
        name = f"vision.layers.{layer}"
        yield from store.norm(f"{name}.attention_norm")
        yield from store.product(name, "attention", ("query", "key", "value"), has_bias=True)
        yield from store.product(name, "output", ("output",), has_bias=True)
        yield from store.norm(f"{name}.ffn_norm")
        yield from store.product(name, "ffn_up", ("ffn_up",), has_bias=True)
        yield from store.product(name, "ffn_down", ("ffn_down",), has_bias=True)
    yield from store.norm("vision.norm")
    yield "connector.weight", scheme.store(weights.take("connector.weight"), Module.CONNECTOR)


def store_text(
    weights: SmolVLMWeights, config: SmolVLMConfig, scheme: Scheme
) -> Iterator[tuple[str, Stored]]:
    """Yield every weight of ``text_graph``, by name, reading the checkpoint lazily."""
    store = _Storing(weights, scheme, Module.TEXT)
    for layer in range(config.text.layers):
        name = f"text.layers.{layer}"
        yield f"{name}.attention_norm.weight", weights.take(f"{name}.attention_norm.weight")
        yield from store.product(name, "attention", ("query", "key", "value"))
        yield from store.product(name, "output", ("output",))
        yield f"{name}.ffn_norm.weight", weights.take(f"{name}.ffn_norm.weight")
        yield from store.product(name, "ffn_gate_up", ("ffn_gate", "ffn_up"))
        yield from store.product(name, "ffn_down", ("ffn_down",))
    yield "text.norm.weight", weights.take("text.norm.weight")
    yield "head.weight", scheme.store(weights.take_head(), Module.HEAD)


@dataclass(frozen=True)
class _Storing:
    weights: SmolVLMWeights
    scheme: Scheme
    module: Module

    def product(
        self, layer: str, name: str, parts: Sequence[str], *, has_bias: bool = False
    ) -> Iterator[tuple[str, Stored]]:
        matrix = np.concatenate([self.weights.take(f"{layer}.{part}.weight") for part in parts])
        yield f"{layer}.{name}.weight", self.scheme.store(matrix, self.module)
        if has_bias:
            bias = np.concatenate([self.weights.take(f"{layer}.{part}.bias") for part in parts])
            yield f"{layer}.{name}.bias", bias

    def norm(self, name: str) -> Iterator[tuple[str, Stored]]:
        for kind in ("weight", "bias"):
            yield f"{name}.{kind}", self.weights.take(f"{name}.{kind}")

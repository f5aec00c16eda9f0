"""A Florence-2's weights in stored form. Products with the same input are one matrix.

The tower keeps 16 bits where the rest has 8 or 4 (see README.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from smallsight.families.florence2.config import Florence2Config
from smallsight.families.florence2.weights import Florence2Weights
from smallsight.quant.forms import Storage, Stored
from smallsight.quant.scheme import Module, Scheme

STORED_VERSION = 2  # increment when the same weights would be stored differently


def adapted(scheme: Scheme) -> Scheme:
    """Return the scheme with at least 16 bits for the tower and its connector."""
    if not scheme.modules[Module.VISION].is_integer:
        return scheme
    return scheme.adapted({Module.VISION: Storage.BF16, Module.CONNECTOR: Storage.BF16})


def store_vision(
    weights: Florence2Weights, config: Florence2Config, scheme: Scheme
) -> Iterator[tuple[str, Stored]]:
    """Yield every weight of ``vision_graph``, by name, reading the checkpoint lazily."""
    for number, stage in enumerate(config.stages):
        name = f"vision.stages.{number}"
        for part in ("patches", "norm"):
            yield from _pair(weights, f"{name}.{part}")
        for block in range(stage.depth):
            for half in ("window", "channel"):
                prefix = f"{name}.blocks.{block}.{half}"
                for part in ("before_attention", "attention_norm", "before_ffn", "ffn_norm"):
                    yield from _pair(weights, f"{prefix}.{part}")
                for part in ("query_key_value", "output", "ffn_up", "ffn_down"):
                    yield from _product(weights, scheme, Module.VISION, prefix, part, (part,))
    yield "connector.rows", weights.take("connector.rows")
    yield "connector.columns", weights.take("connector.columns")
    projection = weights.take("connector.projection.weight")
    yield "connector.projection.weight", scheme.store(projection, Module.CONNECTOR)
    yield from _pair(weights, "connector.norm")


def store_text(
    weights: Florence2Weights, config: Florence2Config, scheme: Scheme
) -> Iterator[tuple[str, Stored]]:
    """Yield every weight of ``text_graphs``, by name, reading the checkpoint lazily."""
    for side, num_layers in (("encoder", config.encoder_layers), ("decoder", config.decoder_layers)):
        yield f"{side}.positions", weights.take(f"{side}.positions")
        yield from _pair(weights, f"{side}.embedding_norm")
        for layer in range(num_layers):
            name = f"{side}.layers.{layer}"
            joined = ("self_query", "self_key", "self_value")
            yield from _product(weights, scheme, Module.TEXT, name, "self_attention", joined)
            yield from _product(weights, scheme, Module.TEXT, name, "self_output", ("self_output",))
            yield from _pair(weights, f"{name}.self_norm")
            if side == "decoder":
                yield from _product(weights, scheme, Module.TEXT, name, "cross_query", ("cross_query",))
                seen = ("cross_key", "cross_value")
                yield from _product(weights, scheme, Module.TEXT, name, "cross_memory", seen)
                yield from _product(weights, scheme, Module.TEXT, name, "cross_output", ("cross_output",))
                yield from _pair(weights, f"{name}.cross_norm")
            for part in ("ffn_up", "ffn_down"):
                yield from _product(weights, scheme, Module.TEXT, name, part, (part,))
            yield from _pair(weights, f"{name}.ffn_norm")
    yield "head.weight", scheme.store(weights.take_head(), Module.HEAD)


def _pair(weights: Florence2Weights, name: str) -> Iterator[tuple[str, Stored]]:
    for kind in ("weight", "bias"):
        yield f"{name}.{kind}", weights.take(f"{name}.{kind}")


def _product(
    weights: Florence2Weights, scheme: Scheme, module: Module, layer: str, name: str, parts: Sequence[str]
) -> Iterator[tuple[str, Stored]]:
    matrix = np.concatenate([weights.take(f"{layer}.{part}.weight") for part in parts])
    yield f"{layer}.{name}.weight", scheme.store(matrix, module)
    yield f"{layer}.{name}.bias", np.concatenate([weights.take(f"{layer}.{part}.bias") for part in parts])

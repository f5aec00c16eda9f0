"""A moondream2's weights in stored form, part by part (see README.md)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from smallsight.families.moondream2.config import Moondream2Config
from smallsight.families.moondream2.weights import Moondream2Weights
from smallsight.quant.forms import WIDE_GROUP, Storage, Stored
from smallsight.quant.scheme import Module, Scheme

STORED_VERSION = 1  # increment when the same weights would be stored differently


def adapted(scheme: Scheme) -> Scheme:
    """Return the scheme with at least 8 bits for the tower and its connector, and wide groups for 8 bits."""
    wide = Storage.INT8_WIDE_GROUPS
    forms = {module: wide if form is Storage.INT8_GROUPS else form for module, form in scheme.modules.items()}
    if scheme.modules[Module.VISION].bits == 4:
        forms |= {Module.VISION: wide, Module.CONNECTOR: wide}
    return scheme.adapted(forms)


def store_vision(
    weights: Moondream2Weights, config: Moondream2Config, scheme: Scheme
) -> Iterator[tuple[str, Stored]]:
    """Yield every weight of ``vision_graphs``, by name, reading the checkpoint lazily."""
    # Never in integers, which lose precision on raw pixels; the bias is the same for all patches and is
    # added to the positions.
    yield "vision.patches.weight", weights.take("vision.patches.weight")
    yield "vision.positions", weights.take("vision.positions") + weights.take("vision.patches.bias")
    for layer in range(config.vision.layers):
        name = f"vision.layers.{layer}"
        for part in ("attention_norm", "ffn_norm"):
            yield from _pair(weights, f"{name}.{part}")
        yield from _layer(weights, scheme, Module.VISION, name)
    yield from _pair(weights, "vision.norm")
    for part in ("connector.up", "connector.down"):
        yield from _product(weights, scheme, Module.CONNECTOR, part)


def store_text(
    weights: Moondream2Weights, config: Moondream2Config, scheme: Scheme
) -> Iterator[tuple[str, Stored]]:
    """Yield every weight of ``text_graph`` and ``region_graph``, by name, reading the checkpoint lazily."""
    for layer in range(config.text.layers):
        name = f"text.layers.{layer}"
        yield from _pair(weights, f"{name}.norm")
        yield from _layer(weights, scheme, Module.TEXT, name)
    yield from _pair(weights, "text.norm")
    yield from _product(weights, scheme, Module.HEAD, "head")
    # The region head keeps 16 bits in int8 and int4: rounding would shift the bins, which are coordinates.
    form = Storage.FP32 if scheme.arithmetic == "f32" else Storage.BF16
    for kind in ("coordinate", "size"):
        yield f"region.{kind}_frequencies", weights.take(f"region.{kind}_frequencies")
        yield from _pair(weights, f"region.{kind}_encoder")
        for part in ("up", "down"):
            name = f"region.{kind}_decoder_{part}"
            yield f"{name}.weight", form.store(weights.take(f"{name}.weight"))
            yield f"{name}.bias", weights.take(f"{name}.bias")


def _layer(
    weights: Moondream2Weights, scheme: Scheme, module: Module, name: str
) -> Iterator[tuple[str, Stored]]:
    for part in ("query_key_value", "output"):
        yield from _product(weights, scheme, module, f"{name}.{part}")
    up, down = (weights.take(f"{name}.ffn_{way}.weight") for way in ("up", "down"))
    bias = weights.take(f"{name}.ffn_up.bias")
    if scheme.modules[module].is_integer:
        up, down, bias = _widened(up, down, bias)
    yield f"{name}.ffn_up.weight", scheme.store(up, module)
    yield f"{name}.ffn_up.bias", bias
    yield f"{name}.ffn_down.weight", scheme.store(down, module)
    yield f"{name}.ffn_down.bias", weights.take(f"{name}.ffn_down.bias")


def _widened(
    up: NDArray[np.float32], down: NDArray[np.float32], bias: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Pad a feed-forward network to whole groups with zeros, which do not change its results.

    The published tower's width, 4304, is not a multiple of 128.
    """
    missing = -len(bias) % WIDE_GROUP
    return (
        np.pad(up, ((0, missing), (0, 0))),
        np.pad(down, ((0, 0), (0, missing))),
        np.pad(bias, (0, missing)),
    )


def _product(
    weights: Moondream2Weights, scheme: Scheme, module: Module, name: str
) -> Iterator[tuple[str, Stored]]:
    yield f"{name}.weight", scheme.store(weights.take(f"{name}.weight"), module)
    yield f"{name}.bias", weights.take(f"{name}.bias")


def _pair(weights: Moondream2Weights, name: str) -> Iterator[tuple[str, Stored]]:
    for kind in ("weight", "bias"):
        yield f"{name}.{kind}", weights.take(f"{name}.{kind}")

"""Every parameter tensor of a moondream2, from its sizes.

Source: vikhyat/moondream, revision 2025-01-09, torch/{text,vision,region}.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smallsight.families.tensor_shape import Role, TensorShape, linear, lookup, norm, plain


@dataclass(frozen=True)
class Moondream2Sizes:
    """The sizes that determine a moondream2 network."""

    vocabulary: int
    text_hidden: int
    text_ffn: int
    text_layers: int
    context_tokens: int
    vision_hidden: int
    vision_ffn: int
    vision_layers: int
    patch_px: int
    crop_px: int
    connector_inner: int
    region_inner: int
    coordinate_features: int
    coordinate_bins: int
    size_features: int
    size_bins: int


def tensor_shapes(sizes: Mapping[str, Any]) -> tuple[TensorShape, ...]:
    """List the tensors in data flow order; the output head is not tied."""
    return tensor_shapes_of(Moondream2Sizes(**sizes))


def tensor_shapes_of(s: Moondream2Sizes) -> tuple[TensorShape, ...]:
    """List the tensors of a network with these sizes."""
    shapes = _vision(s)
    # the connector's input is twice the tower's width: features of crops and whole picture concatenated
    shapes += linear("connector.up", s.connector_inner, 2 * s.vision_hidden, Role.CONNECTOR)
    shapes += linear("connector.down", s.text_hidden, s.connector_inner, Role.CONNECTOR)
    shapes.append(lookup("embeddings.weight", s.vocabulary, s.text_hidden))
    for layer in range(s.text_layers):
        # attention and feed-forward network run in parallel, after one norm
        shapes += _layer(f"text.layers.{layer}", s.text_hidden, s.text_ffn, Role.TEXT, norms=("norm",))
    shapes += norm("text.norm", s.text_hidden, Role.TEXT)
    shapes += linear("head", s.vocabulary, s.text_hidden, Role.HEAD)
    return tuple(shapes + _region(s))


def kv_cache_bytes(sizes: Mapping[str, Any]) -> int:
    """Return the bytes of a 16-bit KV cache for one full context; every head has separate keys."""
    s = Moondream2Sizes(**sizes)
    return 2 * s.text_layers * s.text_hidden * s.context_tokens * 2


def _vision(s: Moondream2Sizes) -> list[TensorShape]:
    shapes = linear("vision.patches", s.vision_hidden, 3 * s.patch_px**2, Role.VISION)
    num_patches = (s.crop_px // s.patch_px) ** 2
    shapes.append(plain("vision.positions", (num_patches, s.vision_hidden), Role.VISION))
    for layer in range(s.vision_layers):
        name = f"vision.layers.{layer}"
        shapes += _layer(
            name, s.vision_hidden, s.vision_ffn, Role.VISION, norms=("attention_norm", "ffn_norm")
        )
    return shapes + norm("vision.norm", s.vision_hidden, Role.VISION)


def _layer(name: str, width: int, ffn: int, role: Role, *, norms: tuple[str, ...]) -> list[TensorShape]:
    shapes: list[TensorShape] = []
    for part in norms:
        shapes += norm(f"{name}.{part}", width, role)
    shapes += linear(f"{name}.query_key_value", 3 * width, width, role)
    shapes += linear(f"{name}.output", width, width, role)
    shapes += linear(f"{name}.ffn_up", ffn, width, role)
    return shapes + linear(f"{name}.ffn_down", width, ffn, role)


def _region(s: Moondream2Sizes) -> list[TensorShape]:
    parts = (
        ("coordinate", 1, s.coordinate_features, s.coordinate_bins),
        ("size", 2, s.size_features, s.size_bins),
    )
    shapes: list[TensorShape] = []
    for part, num_inputs, num_features, num_bins in parts:
        shapes.append(plain(f"region.{part}_frequencies", (num_inputs, num_features // 2), Role.REGION))
        shapes += linear(f"region.{part}_encoder", s.text_hidden, num_features, Role.REGION)
        shapes += linear(f"region.{part}_decoder_up", s.region_inner, s.text_hidden, Role.REGION)
        shapes += linear(f"region.{part}_decoder_down", num_bins, s.region_inner, Role.REGION)
    return shapes

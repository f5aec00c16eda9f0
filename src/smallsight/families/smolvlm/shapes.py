"""Every parameter tensor of a SmolVLM, from its sizes.

Source: transformers 5.x, models/idefics3 and models/llama.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smallsight.families.tensor_shape import Role, TensorShape, convolution, linear, lookup, norm, plain


@dataclass(frozen=True)
class SmolVLMSizes:
    """The sizes that determine a SmolVLM network."""

    vocabulary: int
    text_hidden: int
    text_ffn: int
    text_layers: int
    text_heads: int
    text_kv_heads: int
    head_dim: int
    context_tokens: int
    is_tied: bool
    vision_hidden: int
    vision_ffn: int
    vision_layers: int
    patch_px: int
    image_px: int
    pixel_shuffle: int


def tensor_shapes(sizes: Mapping[str, Any]) -> tuple[TensorShape, ...]:
    """List the tensors in data flow order; a tied head is not listed."""
    return tensor_shapes_of(SmolVLMSizes(**sizes))


def tensor_shapes_of(s: SmolVLMSizes) -> tuple[TensorShape, ...]:
    """List the tensors of a network with these sizes."""
    shapes = _vision(s)
    shapes += linear(
        "connector", s.text_hidden, s.vision_hidden * s.pixel_shuffle**2, Role.CONNECTOR, bias=False
    )
    shapes.append(lookup("embeddings.weight", s.vocabulary, s.text_hidden))
    for layer in range(s.text_layers):
        shapes += _text_layer(s, f"text.layers.{layer}")
    shapes += norm("text.norm", s.text_hidden, Role.TEXT, bias=False)
    if not s.is_tied:
        shapes += linear("head", s.vocabulary, s.text_hidden, Role.HEAD, bias=False)
    return tuple(shapes)


def kv_cache_bytes(sizes: Mapping[str, Any]) -> int:
    """Return the bytes of a 16-bit KV cache for one full context."""
    s = SmolVLMSizes(**sizes)
    return 2 * s.text_layers * s.text_kv_heads * s.head_dim * s.context_tokens * 2


def _vision(s: SmolVLMSizes) -> list[TensorShape]:
    shapes = convolution("vision.patches", s.vision_hidden, 3, s.patch_px, Role.VISION)
    num_patches = (s.image_px // s.patch_px) ** 2
    shapes.append(plain("vision.positions", (num_patches, s.vision_hidden), Role.VISION))
    for layer in range(s.vision_layers):
        name = f"vision.layers.{layer}"
        shapes += norm(f"{name}.attention_norm", s.vision_hidden, Role.VISION)
        for part in ("query", "key", "value", "output"):
            shapes += linear(f"{name}.{part}", s.vision_hidden, s.vision_hidden, Role.VISION)
        shapes += norm(f"{name}.ffn_norm", s.vision_hidden, Role.VISION)
        shapes += linear(f"{name}.ffn_up", s.vision_ffn, s.vision_hidden, Role.VISION)
        shapes += linear(f"{name}.ffn_down", s.vision_hidden, s.vision_ffn, Role.VISION)
    return shapes + norm("vision.norm", s.vision_hidden, Role.VISION)


def _text_layer(s: SmolVLMSizes, name: str) -> list[TensorShape]:
    query_width, kv_width = s.text_heads * s.head_dim, s.text_kv_heads * s.head_dim
    matrices = {
        "query": (query_width, s.text_hidden),
        "key": (kv_width, s.text_hidden),
        "value": (kv_width, s.text_hidden),
        "output": (s.text_hidden, query_width),
        "ffn_gate": (s.text_ffn, s.text_hidden),
        "ffn_up": (s.text_ffn, s.text_hidden),
        "ffn_down": (s.text_hidden, s.text_ffn),
    }
    shapes = norm(f"{name}.attention_norm", s.text_hidden, Role.TEXT, bias=False)
    shapes += norm(f"{name}.ffn_norm", s.text_hidden, Role.TEXT, bias=False)
    for part, (out_size, in_size) in matrices.items():
        shapes += linear(f"{name}.{part}", out_size, in_size, Role.TEXT, bias=False)
    return shapes

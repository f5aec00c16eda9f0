"""Every parameter tensor of a Florence-2, from its sizes.

Source: transformers 5.x, models/florence2 and models/bart. The connector's cosine table is not listed: it is
computed from a formula.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smallsight.families.tensor_shape import Role, TensorShape, convolution, linear, lookup, norm, plain

_MLP_RATIO = 4
_POSITION_OFFSET = 2  # BART has two unused rows before its learned positions


@dataclass(frozen=True)
class Florence2Sizes:
    """The sizes that determine a Florence-2 network; tuples hold one number per vision stage."""

    vocabulary: int
    text_hidden: int
    text_ffn: int
    encoder_layers: int
    decoder_layers: int
    text_positions: int
    vision_depths: tuple[int, ...]
    vision_widths: tuple[int, ...]
    vision_patches_px: tuple[int, ...]
    vision_positions: int
    image_tokens: int


def tensor_shapes(sizes: Mapping[str, Any]) -> tuple[TensorShape, ...]:
    """List the tensors in data flow order; the output head is tied to the embeddings."""
    return tensor_shapes_of(Florence2Sizes(**sizes))


def tensor_shapes_of(s: Florence2Sizes) -> tuple[TensorShape, ...]:
    """List the tensors of a network with these sizes."""
    shapes = _vision(s) + _connector(s)
    shapes.append(lookup("embeddings.weight", s.vocabulary, s.text_hidden))
    for side, num_layers in (("encoder", s.encoder_layers), ("decoder", s.decoder_layers)):
        num_rows = s.text_positions + _POSITION_OFFSET
        shapes.append(plain(f"{side}.positions", (num_rows, s.text_hidden), Role.TEXT))
        shapes += norm(f"{side}.embedding_norm", s.text_hidden, Role.TEXT)
        for layer in range(num_layers):
            shapes += _text_layer(s, f"{side}.layers.{layer}", has_cross=side == "decoder")
    return tuple(shapes)


def kv_cache_bytes(sizes: Mapping[str, Any]) -> int:
    """Return the bytes of a 16-bit KV cache for one answer: its tokens and the encoder's."""
    s = Florence2Sizes(**sizes)
    num_tokens = s.text_positions + s.image_tokens
    return 2 * s.decoder_layers * s.text_hidden * num_tokens * 2


def _vision(s: Florence2Sizes) -> list[TensorShape]:
    shapes: list[TensorShape] = []
    width_before = 3
    stages = zip(s.vision_depths, s.vision_widths, s.vision_patches_px, strict=True)
    for stage, (depth, width, patch_px) in enumerate(stages):
        name = f"vision.stages.{stage}"
        shapes += convolution(f"{name}.patches", width, width_before, patch_px, Role.VISION)
        # the first stage normalises after its convolution, the others before
        shapes += norm(f"{name}.norm", width if stage == 0 else width_before, Role.VISION)
        for block in range(depth):
            for half in ("window", "channel"):
                shapes += _vision_block(f"{name}.blocks.{block}.{half}", width)
        width_before = width
    return shapes


def _vision_block(name: str, width: int) -> list[TensorShape]:
    shapes = convolution(f"{name}.before_attention", width, 1, 3, Role.VISION)
    shapes += norm(f"{name}.attention_norm", width, Role.VISION)
    shapes += linear(f"{name}.query_key_value", 3 * width, width, Role.VISION)
    shapes += linear(f"{name}.output", width, width, Role.VISION)
    shapes += convolution(f"{name}.before_ffn", width, 1, 3, Role.VISION)
    shapes += norm(f"{name}.ffn_norm", width, Role.VISION)
    shapes += linear(f"{name}.ffn_up", _MLP_RATIO * width, width, Role.VISION)
    return shapes + linear(f"{name}.ffn_down", width, _MLP_RATIO * width, Role.VISION)


def _connector(s: Florence2Sizes) -> list[TensorShape]:
    width = s.vision_widths[-1]
    shapes = [
        plain("connector.rows", (s.vision_positions, width // 2), Role.CONNECTOR),
        plain("connector.columns", (s.vision_positions, width - width // 2), Role.CONNECTOR),
    ]
    shapes += linear("connector.projection", s.text_hidden, width, Role.CONNECTOR, bias=False)
    return shapes + norm("connector.norm", s.text_hidden, Role.CONNECTOR)


def _text_layer(s: Florence2Sizes, name: str, *, has_cross: bool) -> list[TensorShape]:
    shapes: list[TensorShape] = []
    for attention in ("self", "cross") if has_cross else ("self",):
        for part in ("query", "key", "value", "output"):
            shapes += linear(f"{name}.{attention}_{part}", s.text_hidden, s.text_hidden, Role.TEXT)
        shapes += norm(f"{name}.{attention}_norm", s.text_hidden, Role.TEXT)
    shapes += linear(f"{name}.ffn_up", s.text_ffn, s.text_hidden, Role.TEXT)
    shapes += linear(f"{name}.ffn_down", s.text_hidden, s.text_ffn, Role.TEXT)
    return shapes + norm(f"{name}.ffn_norm", s.text_hidden, Role.TEXT)

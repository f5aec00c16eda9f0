"""Lists every tensor of a CLIP, from its sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smallsight.families.dual_encoder.shapes import DualEncoderSizes, shared_tensors
from smallsight.families.tensor_shape import Role, TensorShape, linear, norm, plain


def tensor_shapes(sizes: Mapping[str, Any]) -> tuple[TensorShape, ...]:
    """List the tensors of an architecture in the catalogue."""
    return tensor_shapes_of(DualEncoderSizes.of(sizes))


def tensor_shapes_of(sizes: DualEncoderSizes) -> tuple[TensorShape, ...]:
    """List the tensors of a network; pictures have one token more than patches."""
    hidden = sizes.vision_hidden
    return (
        *shared_tensors(sizes),
        *linear("text.projection", sizes.dimensions, sizes.text_hidden, Role.TEXT, bias=False),
        plain("vision.first_token", (hidden,), Role.VISION),
        plain("vision.patches.weight", (hidden, 3, sizes.patch_px, sizes.patch_px), Role.VISION),
        plain("vision.positions", (sizes.num_patches + 1, hidden), Role.VISION),
        *norm("vision.first_norm", hidden, Role.VISION),
        *linear("vision.projection", sizes.dimensions, hidden, Role.VISION, bias=False),
        plain("logit.scale", (), Role.HEAD),
    )

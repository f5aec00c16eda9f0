"""Lists every tensor of a SigLIP, from its sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smallsight.families.dual_encoder.shapes import DualEncoderSizes, shared_tensors
from smallsight.families.tensor_shape import Role, TensorShape, convolution, linear, norm, plain


def tensor_shapes(sizes: Mapping[str, Any]) -> tuple[TensorShape, ...]:
    """List the tensors of an architecture in the catalogue."""
    return tensor_shapes_of(DualEncoderSizes.of(sizes))


def tensor_shapes_of(sizes: DualEncoderSizes) -> tuple[TensorShape, ...]:
    """List the tensors of a network; the vectors are as wide as the vision encoder."""
    hidden = sizes.vision_hidden
    return (
        *shared_tensors(sizes),
        *linear("text.projection", sizes.dimensions, sizes.text_hidden, Role.TEXT),
        *convolution("vision.patches", hidden, 3, sizes.patch_px, Role.VISION),
        plain("vision.positions", (sizes.num_patches, hidden), Role.VISION),
        plain("vision.pool.probe", (1, 1, hidden), Role.VISION),
        *linear("vision.pool.attention", 3 * hidden, hidden, Role.VISION),
        *linear("vision.pool.output", hidden, hidden, Role.VISION),
        *norm("vision.pool.ffn_norm", hidden, Role.VISION),
        *linear("vision.pool.ffn_up", sizes.vision_ffn, hidden, Role.VISION),
        *linear("vision.pool.ffn_down", hidden, sizes.vision_ffn, Role.VISION),
        plain("logit.scale", (1,), Role.HEAD),
        plain("logit.bias", (1,), Role.HEAD),
    )

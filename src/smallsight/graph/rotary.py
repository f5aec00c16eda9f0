"""Rotary position embeddings, in the variant that pairs the halves of a head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from openvino import Node
from openvino import opset15 as ops

from smallsight.graph.constants import integers


@dataclass(frozen=True)
class Rotation:
    """Cosines and signed sines of each position's angles, [tokens, 1, head_dim], shared by all layers.

    Only the first ``rotated_dims`` of a head are rotated; the rest have cosine 1 and sine 0.
    """

    cosines: Node
    signed_sines: Node
    head_dim: int
    rotated_dims: int


def rotation_at(
    positions_T: Node,
    head_dim: int,
    theta: float,
    *,
    num_positions: int,
    rotated_dims: int | None = None,
) -> Rotation:
    """Look up the angles ``position / theta ** (2 i / rotated_dims)`` of positions below ``num_positions``.

    They are constants, because the runtime would compute them in the network's precision: in bfloat16 the
    positions 257 and 258 are the same. Without ``rotated_dims`` the whole head is rotated. Source:
    transformers 5.x, models/llama.
    """
    rotated = head_dim if rotated_dims is None else rotated_dims
    half, fixed = rotated // 2, head_dim - rotated
    frequencies = 1.0 / theta ** (np.arange(0, rotated, 2, dtype=np.float32) / np.float32(rotated))
    row = np.pad(np.tile(frequencies, 2), (0, fixed)).astype(np.float32)
    angles_PE = np.arange(num_positions, dtype=np.float32)[:, None] * row
    signs = np.pad(np.repeat(np.array([-1, 1], np.float32), half), (0, fixed))
    cosines_TE, signed_sines_TE = (
        ops.gather(ops.constant(table_PE), positions_T, integers(0))
        for table_PE in (np.cos(angles_PE), np.sin(angles_PE) * signs)
    )
    return Rotation(
        ops.unsqueeze(cosines_TE, integers(1)),
        ops.unsqueeze(signed_sines_TE, integers(1)),
        head_dim,
        rotated,
    )


def rotate_heads(heads_TD: Node, num_heads: int, rotation: Rotation) -> Node:
    """Rotate each of the ``num_heads`` heads in [tokens, heads * head_dim]."""
    size = rotation.head_dim
    heads_THE = ops.reshape(heads_TD, integers(0, num_heads, size), special_zero=True)
    swapped_halves = np.arange(size)
    swapped_halves[: rotation.rotated_dims] = np.roll(
        swapped_halves[: rotation.rotated_dims], rotation.rotated_dims // 2
    )
    swapped_THE = ops.gather(heads_THE, ops.constant(swapped_halves.astype(np.int64)), integers(2))
    rotated_THE = ops.add(
        ops.multiply(heads_THE, rotation.cosines), ops.multiply(swapped_THE, rotation.signed_sines)
    )
    return ops.reshape(rotated_THE, integers(0, num_heads * size), special_zero=True)

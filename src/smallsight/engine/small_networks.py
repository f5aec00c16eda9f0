"""Which networks are so small that one thread computes them, with several tiles side by side.

Threads that share products of a few microseconds wait for one another longer than they compute.
"""

from __future__ import annotations

from smallsight.families.siglip_tower import SigLIPSizes
from smallsight.families.step_decoder import DecoderSizes

_PRODUCTS_OF_A_STEP = 1 << 32  # for tiles, while other sequences wait for their next tokens
_MOST_TILES = 16
_PRODUCTS_OF_A_TOKEN = 1 << 24
_MATRICES = {"gated": 3, "parallel": 2, "cross": 2}  # of a feed-forward network


def tiles_together(sizes: SigLIPSizes | None) -> int:
    """Return how many tiles one step encodes side by side; 1 for a tower that all threads share."""
    if sizes is None:
        return 1
    of_a_patch = sizes.layers * sizes.hidden * (4 * sizes.hidden + 2 * sizes.ffn)
    return max(1, min(_MOST_TILES, _PRODUCTS_OF_A_STEP // (sizes.patches * of_a_patch)))


def is_small_decoder(sizes: DecoderSizes | None) -> bool:
    """Return whether one thread computes a decoder."""
    if sizes is None:
        return False
    attention = sizes.hidden * sizes.head_dim * 2 * (sizes.heads + sizes.kv_heads)
    of_a_layer = attention + _MATRICES[sizes.kind] * sizes.hidden * sizes.ffn
    return sizes.layers * of_a_layer + sizes.hidden * sizes.vocabulary < _PRODUCTS_OF_A_TOKEN

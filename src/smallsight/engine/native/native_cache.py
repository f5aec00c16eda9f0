"""The KV cache of the extension's decoder: blocks of bfloat16 keys and values for each layer.

A block of a head holds 32 tokens. A product reads pairs of values side by side: of keys the tokens t and
t + 16 of one dimension, [head][16][2]; of values two tokens that follow one another, [16][head][2].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import OutOfResourcesError
from smallsight.families.step_decoder import DecoderSizes

BLOCK_TOKENS = 32
_HALF = BLOCK_TOKENS // 2


class NativeCache:
    """Arrays of bfloat16 bits, [blocks, kv heads, 32 * head]; their pages are touched on first use.

    After the ``num_blocks`` that may be allocated comes one scratch block for rows that are never read.
    """

    def __init__(self, sizes: DecoderSizes, *, num_bytes: int) -> None:
        """Plan as many blocks as fit in ``num_bytes``, but enough for one sequence of the whole context.

        Raises OutOfResourcesError if they do not fit in memory.
        """
        per_block = 2 * sizes.layers * sizes.kv_heads * BLOCK_TOKENS * sizes.head_dim * 2
        self.num_blocks = max(num_bytes // per_block, blocks_for(sizes.context_tokens))
        shape = 2, self.num_blocks + 1, sizes.kv_heads, BLOCK_TOKENS * sizes.head_dim
        try:
            self._layers = [np.empty(shape, np.uint16) for _ in range(sizes.layers)]
        except MemoryError as error:
            raise OutOfResourcesError(
                f"The KV cache ({(self.num_blocks + 1) * per_block >> 20} MiB) does not fit in memory.",
                hint="close other programs, or choose a smaller model.",
            ) from error

    def layers(self) -> list[tuple[NDArray[np.uint16], NDArray[np.uint16]]]:
        """Return each layer's keys and values."""
        return [(keys, values) for keys, values in self._layers]

    def copy_block(self, source: int, target: int) -> None:
        """Copy one block's keys and values to another block, in every layer."""
        for both in self._layers:
            both[:, target] = both[:, source]


def blocks_for(num_tokens: int) -> int:
    """Return how many blocks hold this many tokens."""
    return -(-num_tokens // BLOCK_TOKENS)


def key_blocks(keys: NDArray[Any]) -> NDArray[Any]:
    """Return keys, [..., tokens, head], as blocks of 32 tokens in the cache's order."""
    *others, tokens, head = keys.shape
    halves = keys.reshape(*others, tokens // BLOCK_TOKENS, 2, _HALF, head)
    return np.moveaxis(halves, -3, -1).swapaxes(-3, -2).reshape(*others, -1, BLOCK_TOKENS * head)


def value_blocks(values: NDArray[Any]) -> NDArray[Any]:
    """Return values, [..., tokens, head], as blocks of 32 tokens in the cache's order."""
    *others, tokens, head = values.shape
    pairs = values.reshape(*others, tokens // BLOCK_TOKENS, _HALF, 2, head)
    return pairs.swapaxes(-2, -1).reshape(*others, -1, BLOCK_TOKENS * head)

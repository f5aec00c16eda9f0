"""The KV cache of the extension's decoder: blocks of bfloat16 keys and values for each layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import OutOfResourcesError
from smallsight.families.step_decoder import DecoderSizes

BLOCK_TOKENS = 32


class NativeCache:
    """Arrays of bfloat16 bits, [blocks, kv heads, 32, head]; their pages are touched on first use.

    After the ``num_blocks`` that may be allocated comes one scratch block for rows that are never read.
    """

    def __init__(self, sizes: DecoderSizes, *, num_bytes: int) -> None:
        """Plan as many blocks as fit in ``num_bytes``, but enough for one sequence of the whole context.

        Raises OutOfResourcesError if they do not fit in memory.
        """
        per_block = 2 * sizes.layers * sizes.kv_heads * BLOCK_TOKENS * sizes.head_dim * 2
        self.num_blocks = max(num_bytes // per_block, -(-sizes.context_tokens // BLOCK_TOKENS))
        shape = 2, self.num_blocks + 1, sizes.kv_heads, BLOCK_TOKENS, sizes.head_dim
        try:
            self._layers = [np.empty(shape, np.uint16) for _ in range(sizes.layers)]
        except MemoryError as error:
            raise OutOfResourcesError(
                f"The KV cache ({(self.num_blocks + 1) * per_block >> 20} MiB) does not fit in memory.",
                hint="close other programs, or choose a smaller model.",
            ) from error

    def layer(self, index: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Return a layer's keys and values."""
        keys, values = self._layers[index]
        return keys, values

    def copy_block(self, source: int, target: int) -> None:
        """Copy one block's keys and values to another block, in every layer."""
        for both in self._layers:
            both[:, target] = both[:, source]

"""Double quantisation: the scales of a matrix are themselves rounded to 8 bits, in blocks.

No runtime here multiplies by scales of 8 bits, so a matrix holds the rounded scales as 16-bit numbers: its
quality is that of double quantisation, its size in memory is not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK_SCALES = 256  # scales that share one float32 factor; another float32 is the mean of all
_LARGEST = 127


def round_scales(scales: NDArray[np.float16]) -> NDArray[np.float16]:
    """Return the scales after rounding their distance from the mean to 8 bits.

    No scale changes by more than 1/254 of its block's largest distance, and by one rounding to 16 bits.
    Source: Dettmers et al., "QLoRA", 2023, section 3.
    """
    flat = scales.astype(np.float32).reshape(-1)
    mean = flat.mean()
    blocks = np.pad(flat - mean, (0, -len(flat) % BLOCK_SCALES)).reshape(-1, BLOCK_SCALES)
    factors = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(_LARGEST)
    codes = np.rint(blocks / np.maximum(factors, np.finfo(np.float32).tiny))
    rounded: NDArray[np.float32] = (codes * factors).reshape(-1)[: len(flat)] + mean
    return rounded.astype(np.float16).reshape(scales.shape)


def double_scale_bytes(num_scales: int) -> int:
    """Return the bytes of this many scales where they are stored with double quantisation."""
    return num_scales + 4 * (-(-num_scales // BLOCK_SCALES) + 1)

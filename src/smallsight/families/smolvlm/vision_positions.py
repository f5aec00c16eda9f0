"""Which position embedding each patch of an image gets.

Source: transformers 5.x, models/idefics3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def position_ids(patches_per_side: int) -> NDArray[np.int64]:
    """Return which position embedding each patch of a full image gets, in reading order.

    The reference finds them by sorting fractions of the side into bins in float32. Where the number of
    patches is no power of two, rounding puts some into their neighbour's bin, and weights were trained so.
    """
    step = np.float32(1 / patches_per_side)
    bins = np.arange(1 / patches_per_side, 1.0, 1 / patches_per_side).astype(np.float32)
    fractions = np.arange(patches_per_side).astype(np.float32) * step
    places = np.searchsorted(bins, np.minimum(fractions, np.float32(1 - 1e-6)), side="right")
    ids: NDArray[np.int64] = (places[:, None] * patches_per_side + places[None, :]).reshape(-1)
    return ids

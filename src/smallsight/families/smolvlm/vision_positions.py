"""The position embedding of each patch of an image.

Source: transformers 5.x, models/idefics3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def position_ids(patches_per_side: int) -> NDArray[np.int64]:
    """Return the position embedding's index for each patch of a full image, int64, in reading order.

    The reference sorts fractions of the side into bins in float32. Where the number of patches is not a power
    of two, rounding puts some into the neighbouring bin, and the weights were trained that way.
    """
    step = np.float32(1 / patches_per_side)
    bins = np.arange(1 / patches_per_side, 1.0, 1 / patches_per_side).astype(np.float32)
    fractions = np.arange(patches_per_side).astype(np.float32) * step
    indices = np.searchsorted(bins, np.minimum(fractions, np.float32(1 - 1e-6)), side="right")
    ids: NDArray[np.int64] = (indices[:, None] * patches_per_side + indices[None, :]).reshape(-1)
    return ids

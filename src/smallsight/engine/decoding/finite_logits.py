"""Refuses logits of a broken checkpoint."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import BrokenCheckpointError


def require_finite(logits: NDArray[np.float32]) -> None:
    """Raise BrokenCheckpointError for logits that are not finite."""
    if not math.isfinite(logits.max()):
        raise BrokenCheckpointError(
            "The model computed values that are not finite.",
            hint="fetch its files again, or choose another precision.",
        )

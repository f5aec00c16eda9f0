"""The values that a vision network gets for the 256 values of a channel's pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import BrokenCheckpointError


def value_tables(
    described: Mapping[str, Any], path: Path, mean: Sequence[float], deviation: Sequence[float]
) -> list[NDArray[np.float32]]:
    """Return each channel's table of 256 normalised values, with the reference's rounding.

    ``described`` are the picture settings in the file at path, ``mean`` and ``deviation`` the family's
    defaults. Raises BrokenCheckpointError. Source: transformers 5.x, image_transforms ``rescale`` and
    ``normalize``.
    """
    factor = described.get("rescale_factor", 1 / 255)
    scaled = (np.arange(256).astype(np.float64) * factor).astype(np.float32)
    means = described.get("image_mean") or mean
    deviations = described.get("image_std") or deviation
    try:
        pairs = [(np.float32(m), np.float32(d)) for m, d in zip(means, deviations, strict=True)]
    except (TypeError, ValueError) as error:
        raise _invalid(path) from error
    if len(pairs) != 3 or not all(each > 0 for _, each in pairs):
        raise _invalid(path)
    return [(scaled - m) / d for m, d in pairs]


def _invalid(path: Path) -> BrokenCheckpointError:
    return BrokenCheckpointError(f"{path} has no image_mean and image_std of 3 numbers.")

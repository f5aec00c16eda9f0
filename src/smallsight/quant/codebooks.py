"""The values of 4-bit codes that are not integers: NF4 and FP4, each relative to its group's scale."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_TAIL = 0.9677083  # the outermost quantile, as published


def _normal_float() -> NDArray[np.float32]:
    """Return NF4: quantiles of the normal distribution, with an exact zero and 1 as the largest.

    Source: Dettmers et al., "QLoRA", 2023, section 3.
    """
    quantile = NormalDist().inv_cdf
    above = [quantile(_TAIL + (0.5 - _TAIL) * step / 8) for step in range(8)]
    below = [-quantile(_TAIL + (0.5 - _TAIL) * step / 7) for step in range(7)]
    return (np.array(sorted([*below, 0.0, *above])) / above[0]).astype(np.float32)


NF4_VALUES = _normal_float()
# Sign, two bits of exponent, one of fraction. Source: OCP Microscaling Formats 1.0, FP4 (E2M1).
FP4_VALUES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def nearest_codes(values: NDArray[np.float32], book: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the code of the nearest value in a codebook of 16, for each number."""
    codes_by_value = np.argsort(book, kind="stable").astype(np.uint8)
    ordered = book[codes_by_value]
    return codes_by_value[np.searchsorted((ordered[1:] + ordered[:-1]) / 2, values)]

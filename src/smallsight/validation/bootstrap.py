"""How certain a mean over pictures is: its interval by a bootstrap, the same one every time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smallsight.validation.result import Interval

__all__ = ["bootstrap_interval"]

_SEED = 19
_NUM_RESAMPLES = 2_000
_VALUES_AT_ONCE = 1 << 20


def bootstrap_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Return the mean of the values, and the percentiles of the means of random samples with replacement.

    Equal values have an interval without width, however few they are. Raises ValueError without values.
    """
    values_N = np.asarray(values, dtype=np.float64)
    num = len(values_N)
    if num == 0:
        raise ValueError("a mean needs at least one value")
    if values_N.min() == values_N.max():
        return Interval(mean=float(values_N[0]), low=float(values_N[0]), high=float(values_N[0]))
    random = np.random.default_rng(_SEED)
    means_R = np.empty(_NUM_RESAMPLES)
    rows = max(1, _VALUES_AT_ONCE // num)
    for begin in range(0, _NUM_RESAMPLES, rows):
        end = min(begin + rows, _NUM_RESAMPLES)
        means_R[begin:end] = values_N[random.integers(num, size=(end - begin, num))].mean(axis=1)
    low, high = np.quantile(means_R, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(mean=float(values_N.mean()), low=float(low), high=float(high))

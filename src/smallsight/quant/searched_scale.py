"""Finds the scale with the smallest squared error for each group of a 4-bit integer matrix.

A scale that clips the largest values gives all others finer steps. The codes run from -8 to 7: with a
negative scale the extra one lies on the positive side, so each group has it where its largest value is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST, _LARGEST = -8, 7
# The code at which the largest value lies before rounding and clipping.
_CANDIDATES = tuple(np.float32(code) for code in (7.0, 7.5, 8.0, 8.5, 9.0, 9.5, 10.0, 11.0))
_SMALLEST_SCALE = np.finfo(np.float16).tiny
_LIMIT = np.finfo(np.float16).max
_VALUES_AT_ONCE = 1 << 16  # a piece that stays in the processor's cache


def search_scales(groups: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return the scales, [rows, groups, 1], for values [rows, groups, group].

    For each candidate, codes are taken, then the scale that fits them best; the smallest error wins.
    """
    num_rows, num_groups, group = groups.shape
    flat = groups.reshape(-1, group)
    scales = np.empty((len(flat), 1), np.float32)
    step = max(1, _VALUES_AT_ONCE // group)
    for begin in range(0, len(flat), step):
        scales[begin : begin + step] = _search(flat[begin : begin + step])
    rounded = scales.clip(-_LIMIT, _LIMIT).astype(np.float16)
    return rounded.reshape(num_rows, num_groups, 1)


def _search(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return one scale per row of values."""
    largest = np.take_along_axis(values, np.abs(values).argmax(axis=1)[:, None], axis=1)
    safe = np.where(np.abs(largest) < _SMALLEST_SCALE, np.float32(_SMALLEST_SCALE), largest)
    relative = values / safe  # the largest is 1, so that its code can be the negative one
    best = np.full(len(values), -1, np.float32)
    scales = np.empty(len(values), np.float32)
    codes = np.empty_like(values)
    for candidate in _CANDIDATES:
        np.multiply(relative, -candidate, out=codes)
        np.rint(codes, out=codes)
        np.clip(codes, _LEAST, _LARGEST, out=codes)
        along = np.einsum("ij,ij->i", relative, codes)
        length = np.einsum("ij,ij->i", codes, codes)
        length = np.maximum(length, np.float32(1e-30))
        gain = along * along / length  # what this scale takes off the squared error
        better = gain > best
        best = np.where(better, gain, best)
        scales = np.where(better, along / length, scales)
    found: NDArray[np.float32] = scales[:, None] * safe
    return np.where(np.abs(found) < _SMALLEST_SCALE, np.float32(_SMALLEST_SCALE), found)

"""Resizing frames of a video to the very values that the reference's tensors get, in numpy.

Pictures go through Pillow, as the reference's do. Videos do not: there the weights of the Lanczos window are
rounded to 16 bits, which moves about one value in 200 by one.
Source: the behaviour of torch 2.13's ``interpolate(mode="lanczos", antialias=True)`` on uint8.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["resize_frame"]

_LOBES = 3.0
_WEIGHT_BITS = 15  # of a signed 16-bit number
_MAX_PRECISION = 22
_ROWS_AT_ONCE = 64
_EXACT_FLOAT32 = 2**24

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """Input rows [begin, end) that some output rows are made of; weights are [outputs, end - begin]."""

    begin: int
    end: int
    weights: npt.NDArray[Any]


def resize_frame(image_HWC: Bytes, size: tuple[int, int]) -> Bytes:
    """Return uint8 [height, width, 3] of this (width, height); the width is changed first."""
    width, height = size
    if image_HWC.shape[1] != width:
        turned_WHC = np.ascontiguousarray(image_HWC.transpose(1, 0, 2))
        image_HWC = np.ascontiguousarray(_resize_first_axis(turned_WHC, width).transpose(1, 0, 2))
    return image_HWC if image_HWC.shape[0] == height else _resize_first_axis(image_HWC, height)


def _resize_first_axis(image: Bytes, num_rows: int) -> Bytes:
    windows, precision = _windows(len(image), num_rows)
    flat = image.reshape(len(image), -1)
    resized = np.empty((num_rows, flat.shape[1]), np.uint8)
    row = 0
    for window in windows:
        source = flat[window.begin : window.end].astype(window.weights.dtype)
        sums = np.matmul(window.weights, source)
        sums += 2.0 ** (precision - 1)
        sums *= 2.0**-precision
        np.floor(sums, out=sums)
        np.clip(sums, 0, 255, out=sums)
        resized[row : row + len(sums)] = sums
        row += len(sums)
    return resized.reshape(num_rows, *image.shape[1:])


@lru_cache(maxsize=32)
def _windows(num_in: int, num_out: int) -> tuple[tuple[_Window, ...], int]:
    """Return the windows of all output rows, some rows each, and how many bits the weights are shifted by."""
    first, weights = _lanczos(num_in, num_out)
    precision = _precision(float(weights.max()))
    whole = np.trunc(weights * 2.0**precision + np.where(weights < 0, -0.5, 0.5))
    # Sums of whole numbers are exact in a float as long as none of them can leave its range.
    largest = np.abs(whole).sum(axis=1).max() * 255 + 2.0**precision
    kind = np.float32 if largest < _EXACT_FLOAT32 else np.float64
    num_taps = weights.shape[1]
    windows = []
    for row in range(0, num_out, _ROWS_AT_ONCE):
        starts = first[row : row + _ROWS_AT_ONCE]
        begin, end = int(starts[0]), min(num_in, int(starts[-1]) + num_taps)
        placed = np.zeros((len(starts), int(starts[-1]) + num_taps - begin), kind)
        for index, start in enumerate(starts):
            offset = int(start) - begin
            placed[index, offset : offset + num_taps] = whole[row + index]
        windows.append(_Window(begin, end, np.ascontiguousarray(placed[:, : end - begin])))
    return tuple(windows), precision


def _lanczos(num_in: int, num_out: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return each output's first input and its weights, zero behind its last one; they sum to 1."""
    scale = num_in / num_out
    stretch = max(scale, 1.0)
    support = _LOBES * stretch
    centre = scale * (np.arange(num_out) + 0.5)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    num_taps = np.minimum((centre + support + 0.5).astype(np.int64), num_in) - first
    place = np.arange(num_taps.max())
    distance = (place + first[:, None] - centre[:, None] + 0.5) / stretch
    weights = np.where(np.abs(distance) < _LOBES, np.sinc(distance) * np.sinc(distance / _LOBES), 0.0)
    weights[place >= num_taps[:, None]] = 0.0
    return first, weights / weights.sum(axis=1, keepdims=True)


def _precision(largest_weight: float) -> int:
    """Return by how many bits weights can be shifted to the left and still fit."""
    for bits in range(_MAX_PRECISION):
        if int(0.5 + largest_weight * 2 ** (bits + 1)) >= 2**_WEIGHT_BITS:
            return bits
    return _MAX_PRECISION

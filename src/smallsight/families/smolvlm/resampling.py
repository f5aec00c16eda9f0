"""Resizes video frames in numpy, with exactly the reference's values.

The reference resizes pictures with Pillow but videos with torch, which rounds the weights of the Lanczos
window to 16 bits; about one value in 200 differs by one.
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
_MIDDLE = 128.0  # subtracted from the pixels, so that sums stay small

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """Input rows [begin, end) that contribute to some output rows; weights are [outputs, end - begin]."""

    begin: int
    end: int
    weights: npt.NDArray[Any]
    offsets: npt.NDArray[Any]  # corrects the sums for the subtracted 128, plus one half for rounding


def resize_frame(image_HWC: Bytes, size: tuple[int, int]) -> Bytes:
    """Return the image resized to (width, height), uint8 [height, width, 3]; the width is resized first."""
    width, height = size
    if image_HWC.shape[1] != width:
        image_HWC = _transposed(_resize_first_axis(_transposed(image_HWC), width))
    return image_HWC if image_HWC.shape[0] == height else _resize_first_axis(image_HWC, height)


def _transposed(image: Bytes) -> Bytes:
    """Swap rows and columns, one channel at a time: three times as fast as all at once."""
    turned = np.empty((image.shape[1], image.shape[0], image.shape[2]), np.uint8)
    for channel in range(image.shape[2]):
        turned[..., channel] = image[..., channel].T
    return turned


def _resize_first_axis(image: Bytes, num_rows: int) -> Bytes:
    windows, precision = _windows(len(image), num_rows)
    flat = image.reshape(len(image), -1)
    resized = np.empty((num_rows, flat.shape[1]), np.uint8)
    row = 0
    for window in windows:
        source = np.subtract(flat[window.begin : window.end], _MIDDLE, dtype=window.weights.dtype)
        sums = np.matmul(window.weights, source)
        sums += window.offsets
        sums *= 2.0**-precision
        np.floor(sums, out=sums)
        np.clip(sums, 0, 255, out=sums)
        resized[row : row + len(sums)] = sums
        row += len(sums)
    return resized.reshape(num_rows, *image.shape[1:])


@lru_cache(maxsize=32)
def _windows(num_in: int, num_out: int) -> tuple[tuple[_Window, ...], int]:
    """Return the windows of all output rows, and the number of bits by which the weights are shifted."""
    first, weights = _lanczos(num_in, num_out)
    precision = _precision(float(weights.max()))
    whole = np.trunc(weights * 2.0**precision + np.where(weights < 0, -0.5, 0.5))
    # Integers are exact in a float while sums stay in its range; a result beyond it is clipped to 255.
    largest = max(np.abs(whole).sum(axis=1).max() * _MIDDLE, 256 * 2.0**precision)
    kind = np.float32 if largest <= _EXACT_FLOAT32 else np.float64
    offsets = (whole.sum(axis=1, keepdims=True) * _MIDDLE + 2.0 ** (precision - 1)).astype(kind)
    num_taps = weights.shape[1]
    windows = []
    for row in range(0, num_out, _ROWS_AT_ONCE):
        starts = first[row : row + _ROWS_AT_ONCE]
        begin, end = int(starts[0]), min(num_in, int(starts[-1]) + num_taps)
        placed = np.zeros((len(starts), int(starts[-1]) + num_taps - begin), kind)
        for index, start in enumerate(starts):
            offset = int(start) - begin
            placed[index, offset : offset + num_taps] = whole[row + index]
        rows = slice(row, row + _ROWS_AT_ONCE)
        windows.append(_Window(begin, end, np.ascontiguousarray(placed[:, : end - begin]), offsets[rows]))
    return tuple(windows), precision


def _lanczos(num_in: int, num_out: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return each output's first input and its weights, which sum to 1 and are padded with zeros."""
    scale = num_in / num_out
    stretch = max(scale, 1.0)
    support = _LOBES * stretch
    centre = scale * (np.arange(num_out) + 0.5)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    num_taps = np.minimum((centre + support + 0.5).astype(np.int64), num_in) - first
    tap = np.arange(num_taps.max())
    distance = (tap + first[:, None] - centre[:, None] + 0.5) / stretch
    weights = np.where(np.abs(distance) < _LOBES, np.sinc(distance) * np.sinc(distance / _LOBES), 0.0)
    weights[tap >= num_taps[:, None]] = 0.0
    return first, weights / weights.sum(axis=1, keepdims=True)


def _precision(largest_weight: float) -> int:
    """Return by how many bits weights can be shifted left and still fit in 16 bits."""
    for bits in range(_MAX_PRECISION):
        if int(0.5 + largest_weight * 2 ** (bits + 1)) >= 2**_WEIGHT_BITS:
            return bits
    return _MAX_PRECISION

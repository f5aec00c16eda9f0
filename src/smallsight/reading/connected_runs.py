"""Finds the connected parts of a mask, in numpy: runs of pixels are joined with the runs they touch below.

A run is a row's longest stretch of set pixels. A mask has far fewer runs than pixels, and each operation
here is over all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ConnectedRuns", "find_connected_runs"]

_BAND_PIXELS = 4_000_000  # whose edges are looked for at once, so that no mask of a large image is made


@dataclass(frozen=True, slots=True, eq=False)
class ConnectedRuns:
    """All runs of a mask, those of one part together: part ``p`` has ``bounds_P[p]`` up to ``bounds_P[p +
    1]``.

    A run covers the columns from ``starts_R`` to before ``ends_R`` of one row.
    """

    rows_R: NDArray[np.int64]
    starts_R: NDArray[np.int64]
    ends_R: NDArray[np.int64]
    bounds_P: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.bounds_P) - 1


def find_connected_runs(values_HW: NDArray[np.bool_] | NDArray[np.uint8], above: int = 0) -> ConnectedRuns:
    """Return the parts of the pixels above a value that touch at a side or a corner, in the order of their
    first pixel.
    """
    height_px, width_px = values_HW.shape
    stride = width_px + 2  # an empty column on both sides keeps the rows apart
    together = max(1, _BAND_PIXELS // stride)
    bands = [
        _edges(values_HW[top : top + together], above) + top * stride for top in range(0, height_px, together)
    ]
    edges = np.concatenate(bands) if bands else np.empty(0, np.int64)
    starts_R, ends_R = edges[0::2], edges[1::2]
    labels_R = _labels(starts_R, ends_R, stride)
    order_R = np.argsort(labels_R, kind="stable")
    labels_R, starts_R, ends_R = labels_R[order_R], starts_R[order_R], ends_R[order_R]
    firsts = np.flatnonzero(np.diff(labels_R, prepend=-1))
    rows_R = starts_R // stride
    offsets_R = rows_R * stride + 1
    return ConnectedRuns(rows_R, starts_R - offsets_R, ends_R - offsets_R, np.append(firsts, len(labels_R)))


def _edges(values_HW: NDArray[np.bool_] | NDArray[np.uint8], above: int) -> NDArray[np.int64]:
    """Return where the runs of some rows begin and end, in turn; rows are two pixels longer."""
    height_px, width_px = values_HW.shape
    padded_HW = np.zeros((height_px, width_px + 2), np.bool_)
    np.greater(values_HW, above, out=padded_HW[:, 1:-1])
    flat = padded_HW.ravel()
    edges: NDArray[np.int64] = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return edges


def _labels(starts_R: NDArray[np.int64], ends_R: NDArray[np.int64], stride: int) -> NDArray[np.int64]:
    """Return for each run the index of the first run of its part."""
    labels_R = np.arange(len(starts_R))
    first_R = np.searchsorted(ends_R, starts_R + stride, side="left")
    after_R = np.searchsorted(starts_R, ends_R + stride, side="right")
    counts_R = np.maximum(0, after_R - first_R)
    upper = np.repeat(labels_R, counts_R)
    within = np.arange(len(upper)) - np.repeat(np.cumsum(counts_R) - counts_R, counts_R)
    lower = np.repeat(first_R, counts_R) + within
    while True:
        upper_roots, lower_roots = labels_R[upper], labels_R[lower]
        if np.array_equal(upper_roots, lower_roots):
            return labels_R
        least = np.minimum(upper_roots, lower_roots)
        np.minimum.at(labels_R, upper_roots, least)
        np.minimum.at(labels_R, lower_roots, least)
        while not np.array_equal(shorter := labels_R[labels_R], labels_R):
            labels_R = shorter

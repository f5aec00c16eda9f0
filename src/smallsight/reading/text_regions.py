"""Turns a map of text probabilities into rectangles around lines of text, at any angle.

The network marks the core of each line. A connected part of the marked pixels is one line; its rectangle of
least area is enlarged by as much as the network's training had shrunk it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from smallsight.reading.connected_runs import ConnectedRuns, find_connected_runs

__all__ = ["TextRegion", "find_text_regions"]

MARKED = 0.3  # probability from which a pixel belongs to a line
_LEAST_MEAN = 0.5  # of the probabilities in a rectangle
_LEAST_SIDE_PX = 3.0  # of a core
_GROWTH = 1.6  # a side moves out by this, times area over circumference
_MAX_REGIONS = 4_000
_BAND_PIXELS = 2_000_000  # of the map that are summed at once: sums take four times its memory
_COARSE = np.radians(np.arange(-45.0, 45.0, 3.0))
_FINE = np.radians(np.arange(-2.75, 3.0, 0.25))
_NEARLY = 1.08  # an upright rectangle at most this much larger than the least one is preferred


@dataclass(frozen=True, slots=True)
class TextRegion:
    """A rectangle, in pixels; ``angle`` turns its width from the x axis towards the y axis, by at most 45
    degrees.
    """

    x: float
    y: float
    width: float
    height: float
    angle: float
    probability: float

    @property
    def line_height(self) -> float:
        """The shorter side, which is the height of a line's letters with a margin."""
        return min(self.width, self.height)

    def scaled(self, x_factor: float, y_factor: float) -> TextRegion:
        """Return the region in an image of another size; the factors are nearly equal."""
        factor = math.sqrt(x_factor * y_factor)
        if self.angle == 0.0:
            sides = (self.width * x_factor, self.height * y_factor)
        else:
            sides = (self.width * factor, self.height * factor)
        return TextRegion(self.x * x_factor, self.y * y_factor, *sides, self.angle, self.probability)

    def bounds(self) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of the upright rectangle around it."""
        cos, sin = abs(math.cos(self.angle)), abs(math.sin(self.angle))
        half_x, half_y = (
            (self.width * cos + self.height * sin) / 2,
            (self.width * sin + self.height * cos) / 2,
        )
        return self.x - half_x, self.y - half_y, self.x + half_x, self.y + half_y


def find_text_regions(map_HW: NDArray[np.uint8]) -> list[TextRegion]:
    """Return the lines in a map of probabilities times 255, in pixels of the map."""
    runs = find_connected_runs(map_HW, int(MARKED * 255))
    if not len(runs):
        return []
    first_P, after_P = runs.bounds_P[:-1], runs.bounds_P[1:]
    heights_P = np.maximum.reduceat(runs.rows_R, first_P) - np.minimum.reduceat(runs.rows_R, first_P) + 1
    widths_P = np.maximum.reduceat(runs.ends_R, first_P) - np.minimum.reduceat(runs.starts_R, first_P)
    sums_P = np.add.reduceat(_run_sums(map_HW, runs), first_P) / 255.0
    kept = np.flatnonzero(np.minimum(heights_P, widths_P) >= _LEAST_SIDE_PX)
    kept = kept[np.argsort(-sums_P[kept], kind="stable")][:_MAX_REGIONS]
    regions = [_region(runs, int(first_P[part]), int(after_P[part]), float(sums_P[part])) for part in kept]
    return [region for region in regions if region is not None]


def _run_sums(map_HW: NDArray[np.uint8], runs: ConnectedRuns) -> NDArray[np.float64]:
    """Return each run's sum of the map."""
    flat, width_px = map_HW.ravel(), map_HW.shape[1]
    edges_R2 = np.stack([runs.rows_R * width_px + runs.starts_R, runs.rows_R * width_px + runs.ends_R], 1)
    order_R = np.argsort(edges_R2[:, 0])
    edges_R2 = edges_R2[order_R]
    sums_R = np.empty(len(edges_R2))
    bands = np.searchsorted(edges_R2[:, 0], np.arange(0, len(flat) + _BAND_PIXELS, _BAND_PIXELS))
    for first, after in pairwise(bands.tolist()):
        if first < after:
            part_R2 = edges_R2[first:after]
            begin, end = part_R2[0, 0], part_R2[-1, 1]
            values = np.append(flat[begin:end], np.uint8(0))  # an end has to lie in the array
            sums = np.add.reduceat(values, (part_R2 - begin).ravel(), dtype=np.uint32)
            sums_R[order_R[first:after]] = sums[::2]
    return sums_R


def _region(runs: ConnectedRuns, first: int, after: int, probability_sum: float) -> TextRegion | None:
    rows, starts, ends = runs.rows_R[first:after], runs.starts_R[first:after], runs.ends_R[first:after]
    xs = np.concatenate([starts, ends, starts, ends]).astype(np.float64)
    ys = np.concatenate([rows, rows, rows + 1, rows + 1]).astype(np.float64)
    x, y, width, height, angle = _least_rectangle(xs, ys)
    area = width * height
    if min(width, height) < _LEAST_SIDE_PX or probability_sum < _LEAST_MEAN * area:
        return None
    margin = _GROWTH * area / (width + height)  # on both sides together
    return TextRegion(x, y, width + margin, height + margin, angle, min(1.0, probability_sum / area))


def _least_rectangle(
    xs: NDArray[np.float64], ys: NDArray[np.float64]
) -> tuple[float, float, float, float, float]:
    """Return centre, width, height and angle of the rectangle of least area around points."""
    coarse = _COARSE[np.argmin(_extents(xs, ys, _COARSE)[0])]
    angles = np.append(coarse + _FINE, 0.0)
    areas, lows, highs = _extents(xs, ys, angles)
    best = int(np.argmin(areas))
    if areas[-1] <= _NEARLY * areas[best]:
        best = len(angles) - 1
    angle = float(angles[best])
    (along_low, across_low), (along_high, across_high) = lows[:, best], highs[:, best]
    along, across = (along_low + along_high) / 2, (across_low + across_high) / 2
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = along * cos - across * sin, along * sin + across * cos
    return float(x), float(y), float(along_high - along_low), float(across_high - across_low), angle


def _extents(
    xs: NDArray[np.float64], ys: NDArray[np.float64], angles_A: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return for each angle the area, and [2, A] lowest and highest coordinates along and across it."""
    cos_A, sin_A = np.cos(angles_A), np.sin(angles_A)
    along_NA = xs[:, None] * cos_A + ys[:, None] * sin_A
    across_NA = ys[:, None] * cos_A - xs[:, None] * sin_A
    lows = np.stack([along_NA.min(0), across_NA.min(0)])
    highs = np.stack([along_NA.max(0), across_NA.max(0)])
    sides = highs - lows
    return sides[0] * sides[1], lows, highs

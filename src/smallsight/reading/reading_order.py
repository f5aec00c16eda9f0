"""Puts lines into reading order, on pages that are askew or turned too.

The page is turned back by the angle of most of its text; then lines come row by row, and column by column
where there are columns of prose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from smallsight.reading.columns import in_columns
from smallsight.reading.text_line import TextLine

__all__ = ["in_reading_order"]

_SAME_ROW = 0.5  # of the lower line's height
_UPRIGHT = math.radians(0.7)  # below it, turning would only add errors of rounding
_ALIKE = math.radians(15)


def in_reading_order(lines: Sequence[TextLine], width_px: int, height_px: int) -> list[TextLine]:
    """Return the lines of a page in the order in which a person reads them."""
    if len(lines) < 2:
        return list(lines)
    corners_N42 = np.array([line.box for line in lines]) * (width_px, height_px)
    angle = _angle_of_most(corners_N42, [len(line.text) for line in lines])
    if abs(angle) > _UPRIGHT:
        cos, sin = math.cos(angle), math.sin(angle)
        corners_N42 = corners_N42 @ np.array([[cos, -sin], [sin, cos]])
    corners_N42 -= corners_N42.min((0, 1))
    size = np.maximum(1.0, corners_N42.max((0, 1)))
    turned = [
        replace(line, box=tuple(map(tuple, box)))
        for line, box in zip(lines, (corners_N42 / size).tolist(), strict=True)
    ]
    originals = {id(one): line for one, line in zip(turned, lines, strict=True)}
    by_rows = [turned[index] for index in _by_rows(corners_N42)]
    return [originals[id(one)] for one in in_columns(by_rows, int(size[0]), int(size[1]))]


def _angle_of_most(corners_N42: np.ndarray, num_chars: Sequence[int]) -> float:
    """Return the direction in which most characters follow one another, in radians."""
    along_N2 = corners_N42[:, 1] - corners_N42[:, 0]
    angles_N = np.arctan2(along_N2[:, 1], along_N2[:, 0])
    weights_N = np.array(num_chars, np.float64)
    alike_NN = np.abs(_wrapped(angles_N[:, None] - angles_N[None])) < _ALIKE
    near_N = alike_NN[int(np.argmax(alike_NN @ weights_N))]
    reference = angles_N[near_N][np.argmax(weights_N[near_N])]
    off_N = _wrapped(angles_N[near_N] - reference)
    return float(reference + np.average(off_N, weights=weights_N[near_N]))


def _wrapped(angles: np.ndarray) -> np.ndarray:
    return (angles + math.pi) % (2 * math.pi) - math.pi


def _by_rows(corners_N42: np.ndarray) -> list[int]:
    """Return indices row by row; a row is what overlaps its first line's height by half."""
    tops, bottoms = corners_N42[:, :, 1].min(1), corners_N42[:, :, 1].max(1)
    lefts = corners_N42[:, :, 0].min(1)
    rows: list[list[int]] = []
    for index in np.argsort(tops + bottoms, kind="stable").tolist():
        if rows:
            first = rows[-1][0]
            common = min(bottoms[first], bottoms[index]) - max(tops[first], tops[index])
            if common >= _SAME_ROW * min(bottoms[first] - tops[first], bottoms[index] - tops[index]):
                rows[-1].append(index)
                continue
        rows.append([index])
    return [index for row in rows for index in sorted(row, key=lambda one: float(lefts[one]))]

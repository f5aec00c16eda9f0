"""Joins regions that are pieces of one line: they stand on the same row and their margins meet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from smallsight.reading.text_regions import TextRegion

__all__ = ["join_pieces"]

_MEET = 0.05  # gap of two pieces, in heights of the lower one
_SAME_ROW = 0.65  # of the lower one's height
_HEIGHTS = 2.0  # one over the other; a dash or a comma is lower than the word beside it
_ANGLE = math.radians(4)


def join_pieces(regions: Sequence[TextRegion]) -> list[TextRegion]:
    """Return the regions with those of one line joined; only lines that read along their width."""
    joined: list[TextRegion] = [one for one in regions if one.width < one.height]
    waiting = sorted(
        (one for one in regions if one.width >= one.height), key=lambda one: one.x - one.width / 2
    )
    rows: list[TextRegion] = []
    ends = np.empty(0)
    for region in waiting:
        for index in np.flatnonzero(ends >= region.x - region.width / 2 - region.height)[::-1].tolist():
            if _are_pieces(rows[index], region):
                rows[index] = _joined(rows[index], region)
                ends[index] = rows[index].x + rows[index].width / 2
                break
        else:
            rows.append(region)
            ends = np.append(ends, region.x + region.width / 2)
    return joined + rows


def _are_pieces(left: TextRegion, right: TextRegion) -> bool:
    heights = sorted((left.height, right.height))
    if abs(left.angle - right.angle) > _ANGLE or heights[1] > _HEIGHTS * heights[0]:
        return False
    cos, sin = math.cos(left.angle), math.sin(left.angle)
    along = (right.x - left.x) * cos + (right.y - left.y) * sin
    across = (right.y - left.y) * cos - (right.x - left.x) * sin
    gap = along - (left.width + right.width) / 2
    common = min(heights[0], sum(heights) / 2 - abs(across))
    return gap <= _MEET * heights[0] and common >= _SAME_ROW * heights[0]


def _joined(left: TextRegion, right: TextRegion) -> TextRegion:
    """Return the rectangle around both, at the angle of the wider one."""
    angle = left.angle if left.width >= right.width else right.angle
    cos, sin = math.cos(angle), math.sin(angle)
    alongs, acrosses = [], []
    for one in (left, right):
        turn = one.angle - angle
        reach_along = (one.width * abs(math.cos(turn)) + one.height * abs(math.sin(turn))) / 2
        reach_across = (one.width * abs(math.sin(turn)) + one.height * abs(math.cos(turn))) / 2
        along, across = one.x * cos + one.y * sin, one.y * cos - one.x * sin
        alongs += [along - reach_along, along + reach_along]
        acrosses += [across - reach_across, across + reach_across]
    along, across = (min(alongs) + max(alongs)) / 2, (min(acrosses) + max(acrosses)) / 2
    return TextRegion(
        along * cos - across * sin,
        along * sin + across * cos,
        max(alongs) - min(alongs),
        max(acrosses) - min(acrosses),
        angle,
        min(left.probability, right.probability),
    )

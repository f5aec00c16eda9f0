"""Parts of a mask, compared with a flood fill."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.reading.connected_runs import find_connected_runs


def flooded(mask_HW: np.ndarray) -> set[frozenset[tuple[int, int]]]:
    left = {(int(y), int(x)) for y, x in np.argwhere(mask_HW)}
    parts = set()
    while left:
        part, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            part.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            edge += near
        parts.add(frozenset(part))
    return parts


def parts_of(mask_HW: np.ndarray) -> set[frozenset[tuple[int, int]]]:
    runs = find_connected_runs(mask_HW)
    bounds = zip(runs.bounds_P, runs.bounds_P[1:], strict=False)
    pixels = [
        [
            (int(runs.rows_R[run]), column)
            for run in range(first, after)
            for column in range(runs.starts_R[run], runs.ends_R[run])
        ]
        for first, after in bounds
    ]
    assert len(pixels) == len(runs)
    return {frozenset(one) for one in pixels}


@pytest.mark.parametrize("shape", [(40, 60), (1, 50), (50, 1), (33, 31)])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 1.0])
def test_the_parts_are_those_of_a_flood_fill(shape: tuple[int, int], share: float):
    mask_HW = np.random.default_rng(int(share * 10)).random(shape) < share
    assert parts_of(mask_HW) == flooded(mask_HW)


def test_a_spiral_is_one_part_and_rows_do_not_continue_at_the_other_side():
    spiral = np.zeros((15, 15), bool)
    for ring in range(0, 7, 2):
        spiral[ring, ring : 15 - ring] = spiral[ring : 15 - ring, 14 - ring] = True
        spiral[14 - ring, ring : 15 - ring] = spiral[ring + 2 : 15 - ring, ring] = True
        spiral[ring + 2, ring : ring + 2] = True
    assert len(find_connected_runs(spiral)) == 1
    sides = np.zeros((4, 6), bool)
    sides[:2, -1] = sides[2:, 0] = True
    assert len(find_connected_runs(sides)) == 2

"""Parts of a mask, compared with a flood fill."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.reading import connected_runs
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


@pytest.mark.parametrize("band_pixels", [1, 70, 400])
def test_a_large_map_is_looked_at_in_bands(monkeypatch: pytest.MonkeyPatch, band_pixels: int):
    values_HW = np.random.default_rng(8).integers(0, 255, (31, 33), np.uint8)
    whole = find_connected_runs(values_HW, 120)
    monkeypatch.setattr(connected_runs, "_BAND_PIXELS", band_pixels)
    banded = find_connected_runs(values_HW, 120)
    for name in ("rows_R", "starts_R", "ends_R", "bounds_P"):
        assert np.array_equal(getattr(banded, name), getattr(whole, name))
    assert parts_of(values_HW > 120) == flooded(values_HW > 120)

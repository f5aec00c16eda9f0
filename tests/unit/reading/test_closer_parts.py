"""Which parts of a picture are searched closer, and how they share inputs."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.reading.closer_parts import (
    TILE_PX,
    Box,
    Canvas,
    SeenPart,
    canvases_of,
    canvases_of_whole,
    first_look,
    parts_around,
    parts_of,
)

CELL = (16.0, 16.0)


def cells(rows: int, columns: int, *marked: tuple[int, int]) -> np.ndarray:
    cells_HW = np.zeros((rows, columns), np.bool_)
    for row, column in marked:
        cells_HW[row, column] = True
    return cells_HW


def test_a_few_cells_are_seen_with_a_margin_and_little_else():
    size = (1600, 1200)
    (part,) = parts_around(cells(75, 100, (30, 40), (30, 41)), CELL, size)
    assert (part.seen.left < 640, part.seen.right > 672) == (True, True)
    assert (part.seen.top < 480, part.seen.bottom > 496) == (True, True)
    assert part.seen.area < 0.02 * size[0] * size[1]


def test_near_boxes_are_one_and_far_ones_stay_apart():
    near = parts_around(cells(75, 100, (30, 40), (30, 43)), CELL, (1600, 1200))
    far = parts_around(cells(75, 100, (5, 5), (60, 90)), CELL, (1600, 1200))
    assert (len(near), len(far)) == (1, 2)


def test_the_edge_of_the_picture_ends_a_part():
    (part,) = parts_around(cells(7, 7, (0, 0), (6, 6), (0, 6), (6, 0), (3, 3)), CELL, (105, 100))
    assert part.seen == Box(0, 0, 105, 100)


def test_tiles_of_a_large_box_without_a_cell_are_left_out():
    everywhere = np.ones((75, 100), np.bool_)
    all_parts = parts_around(everywhere, CELL, (1600, 1200))
    assert sum(part.taken.area for part in all_parts) == 1600 * 1200
    everywhere[:, :60] = False
    assert len(parts_around(everywhere, CELL, (1600, 1200))) < len(all_parts)
    assert parts_around(cells(75, 100), CELL, (1600, 1200)) == []


@pytest.mark.parametrize("size", [(577, 600), (1500, 900), (100, 4000), (1153, 1153)])
def test_tiles_cover_everything_once_and_see_more(size: tuple[int, int]):
    seen_HW = np.zeros(size[::-1], np.int64)
    for part in parts_of(Box(0, 0, *size)):
        taken, seen = part.taken, part.seen
        assert max(seen.width, seen.height) <= TILE_PX
        assert (seen.left <= taken.left, seen.bottom >= taken.bottom) == (True, True)
        seen_HW[taken.top : taken.bottom, taken.left : taken.right] += 1
    assert (seen_HW == 1).all()


def overlaps(canvas: Canvas) -> bool:
    taken_HW = np.zeros((canvas.height, canvas.width), np.int64)
    for part, x, y in canvas.parts:
        assert x + part.seen.width <= canvas.width
        assert y + part.seen.height <= canvas.height
        taken_HW[y : y + part.seen.height, x : x + part.seen.width] += 1
    return bool(taken_HW.max() > 1)


def test_small_parts_share_an_input_and_do_not_overlap():
    chance = np.random.default_rng(0)
    parts = []
    for left, top, width, height in chance.integers((0, 0, 20, 20), (900, 900, 300, 120), (30, 4)).tolist():
        box = Box(left, top, left + width, top + height)
        parts.append(SeenPart(box, box))
    canvases = list(canvases_of(parts))
    assert sorted(str(part) for one in canvases for part, _, _ in one.parts) == sorted(map(str, parts))
    assert not any(map(overlaps, canvases))
    assert len(canvases) < 6


def test_canvases_have_few_sizes():
    sizes = set()
    for side in range(20, 340, 7):
        box = Box(0, 0, side, side)
        sizes |= {(one.width, one.height) for one in canvases_of([SeenPart(box, box)])}
    assert len(sizes) <= 6


def test_a_large_part_has_an_input_to_itself():
    large, small = Box(0, 0, 500, 500), Box(600, 0, 700, 100)
    first, second = canvases_of([SeenPart(large, large), SeenPart(small, small)])
    assert (first.width, first.height) == (512, 512)
    assert [part.seen for part, _, _ in second.parts] == [small]


@pytest.mark.parametrize(
    "size", [(900, 675), (1600, 900), (500, 750), (1600, 1600), (300, 200), (1170, 2532)]
)
def test_the_first_look_fills_its_input(size: tuple[int, int]):
    scale = first_look(size, 384 * 416, 0.01)
    (canvas,) = canvases_of_whole((round(size[0] * scale), round(size[1] * scale)))
    assert canvas.width * canvas.height <= 384 * 416
    assert scale == 1.0 or size[0] * size[1] * scale**2 > 0.85 * 384 * 416


def test_the_first_look_at_a_large_picture_is_not_too_small():
    assert first_look((8_000, 6_000), 384 * 416, 0.25) == 0.25

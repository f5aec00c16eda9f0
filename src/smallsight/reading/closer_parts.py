"""Decides which parts of a picture are searched closer, and which of them share an input of the detector.

Pure geometry: cells in doubt become boxes with a margin, near ones become one, and large ones are cut into
tiles. Small boxes are laid side by side on a canvas of one of a few sizes, because the runtime prepares its
kernels for every size that it meets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from smallsight.reading.connected_runs import find_connected_runs

__all__ = [
    "TILE_PX",
    "Box",
    "Canvas",
    "SeenPart",
    "canvases_of",
    "canvases_of_whole",
    "first_look",
    "parts_around",
    "parts_of",
]

TILE_PX = 576
_OVERLAP_PX = 96  # of neighbouring tiles; half of it is taken from each
_MAX_SINGLE_PIXELS = TILE_PX * TILE_PX  # of a part that is detected in one input
_STEP_PX = 32  # the network's sides are multiples
_ROUNDED_PX = 64  # inputs are padded to these, so that there are few shapes
_MARGIN_PX = 40  # around cells in doubt, of what the network sees
_GAP_PX = 16  # between parts on a canvas
_CANVAS_WIDTHS_PX = (192, 384, 576)
_CANVAS_HEIGHTS_PX = (96, 192, 288, 384, 576)
_LARGE_PIXELS = 120_000  # of a part that has an input to itself
_MOST = 0.6  # of a picture in boxes: then all of it is one
_MAX_BOXES = 60


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in whole pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """The distance of the sides."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """The distance of top and bottom."""
        return self.bottom - self.top

    @property
    def area(self) -> int:
        """Width times height."""
        return self.width * self.height

    def around(self, other: Box) -> Box:
        """Return the least box with both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


@dataclass(frozen=True, slots=True)
class SeenPart:
    """What the network sees, and the part of it that is taken from its answer."""

    seen: Box
    taken: Box


@dataclass(frozen=True, slots=True)
class Canvas:
    """An input's size, and the parts on it with the position of each one's top left corner."""

    width: int
    height: int
    parts: tuple[tuple[SeenPart, int, int], ...]


def parts_around(
    cells_HW: NDArray[np.bool_], cell_px: tuple[float, float], size: tuple[int, int]
) -> list[SeenPart]:
    """Return the parts of a picture that show the cells; ``cell_px`` and ``size`` are width and height."""
    parts = []
    for box in _boxes_around(cells_HW, cell_px, size):
        for part in parts_of(box):
            taken = part.taken
            rows = slice(int(taken.top / cell_px[1]), math.ceil(taken.bottom / cell_px[1]))
            columns = slice(int(taken.left / cell_px[0]), math.ceil(taken.right / cell_px[0]))
            if cells_HW[rows, columns].any():
                parts.append(part)
    return parts


def parts_of(box: Box) -> list[SeenPart]:
    """Return a box of a picture in as many tiles as it needs."""
    if box.area <= _MAX_SINGLE_PIXELS:
        return [SeenPart(box, box)]
    return [
        SeenPart(Box(left, top, right, bottom), Box(inner_left, inner_top, inner_right, inner_bottom))
        for top, bottom, inner_top, inner_bottom in _spans(box.top, box.bottom)
        for left, right, inner_left, inner_right in _spans(box.left, box.right)
    ]


def first_look(size: tuple[int, int], pixels: int, least_scale: float) -> float:
    """Return the largest scale from ``least_scale`` to 1 at which a padded picture fits into ``pixels``."""
    scales = (
        min(columns * _STEP_PX / size[0], rows * _STEP_PX / size[1])
        for rows in range(1, pixels // _STEP_PX**2 + 1)
        for columns in [int(pixels / (rows * _STEP_PX**2))]
    )
    return min(1.0, max(least_scale, *scales))


def canvases_of_whole(size: tuple[int, int]) -> list[Canvas]:
    """Return the inputs for all of a picture, whose size is width and height."""
    whole = Box(0, 0, *size)
    if whole.area > _MAX_SINGLE_PIXELS:
        return list(canvases_of(parts_of(whole)))
    width, height = (_rounded_up(side, _STEP_PX) for side in size)
    return [Canvas(width, height, ((SeenPart(whole, whole), 0, 0),))]


def canvases_of(parts: Sequence[SeenPart]) -> Iterator[Canvas]:
    """Yield inputs that show all parts: large ones each alone, small ones together."""
    small = []
    for part in parts:
        width, height = part.seen.width, part.seen.height
        if max(width, height) > _CANVAS_WIDTHS_PX[-1] or width * height > _LARGE_PIXELS:
            yield _alone(part)
        else:
            small.append(part)
    small.sort(key=lambda part: (-part.seen.height, -part.seen.width))
    while small:
        canvas, small = min(
            (
                _filled(small, width)
                for width in _CANVAS_WIDTHS_PX
                if width >= max(p.seen.width for p in small)
            ),
            key=lambda filled: (len(filled[1]), filled[0].width * filled[0].height),
        )
        yield canvas


def _alone(part: SeenPart) -> Canvas:
    return Canvas(
        _rounded_up(part.seen.width, _ROUNDED_PX), _rounded_up(part.seen.height, _ROUNDED_PX), ((part, 0, 0),)
    )


def _filled(parts: Sequence[SeenPart], width: int) -> tuple[Canvas, list[SeenPart]]:
    """Return a canvas with as many parts as fit, in rows, and the others."""
    placed: list[tuple[SeenPart, int, int]] = []
    left_over = []
    x = y = row_height = 0
    for part in parts:
        if x and x + part.seen.width > width:
            x, y, row_height = 0, y + row_height + _GAP_PX, 0
        if y + part.seen.height > _CANVAS_HEIGHTS_PX[-1]:
            left_over.append(part)
            continue
        placed.append((part, x, y))
        x += part.seen.width + _GAP_PX
        row_height = max(row_height, part.seen.height)
    bottom = max(at + part.seen.height for part, _, at in placed)
    height = next(one for one in _CANVAS_HEIGHTS_PX if one >= bottom)
    return Canvas(width, height, tuple(placed)), left_over


def _boxes_around(
    cells_HW: NDArray[np.bool_], cell_px: tuple[float, float], size: tuple[int, int]
) -> list[Box]:
    """Return boxes with a margin around the cells, joined where that costs no area."""
    whole = Box(0, 0, *size)
    runs = find_connected_runs(cells_HW)
    if len(runs) > _MAX_BOXES:
        return [whole]
    boxes: list[Box] = []
    for first, after in pairwise(runs.bounds_P.tolist()):
        left, right = int(runs.starts_R[first:after].min()), int(runs.ends_R[first:after].max())
        top, bottom = int(runs.rows_R[first:after].min()), int(runs.rows_R[first:after].max()) + 1
        boxes.append(
            Box(
                max(0, int(left * cell_px[0]) - _MARGIN_PX),
                max(0, int(top * cell_px[1]) - _MARGIN_PX),
                min(size[0], math.ceil(right * cell_px[0]) + _MARGIN_PX),
                min(size[1], math.ceil(bottom * cell_px[1]) + _MARGIN_PX),
            )
        )
    boxes = _joined(boxes)
    return [whole] if sum(box.area for box in boxes) > _MOST * whole.area else boxes


def _joined(boxes: list[Box]) -> list[Box]:
    """Return the boxes, pairs of them joined as long as that makes none larger than both together."""
    waiting, done = list(boxes), list[Box]()
    while waiting:
        box = waiting.pop()
        for index, other in enumerate(done):
            both = box.around(other)
            if both.area <= box.area + other.area:
                del done[index]
                waiting.append(both)
                break
        else:
            done.append(box)
    return done


def _rounded_up(length_px: int, step_px: int) -> int:
    return -(-length_px // step_px) * step_px


def _spans(start_px: int, end_px: int) -> list[tuple[int, int, int, int]]:
    """Return start and end of each tile between two positions, and of the part that is taken from it."""
    length_px = end_px - start_px
    if length_px <= TILE_PX:
        return [(start_px, end_px, start_px, end_px)]
    num = math.ceil((length_px - _OVERLAP_PX) / (TILE_PX - _OVERLAP_PX))
    tile_px = min(TILE_PX, _rounded_up(math.ceil((length_px + (num - 1) * _OVERLAP_PX) / num), _STEP_PX))
    starts = [start_px + round(index * (length_px - tile_px) / (num - 1)) for index in range(num)]
    cuts = [start_px, *((one + tile_px + other) // 2 for one, other in pairwise(starts)), end_px]
    return [
        (start, start + tile_px, cut, next_cut)
        for start, (cut, next_cut) in zip(starts, pairwise(cuts), strict=True)
    ]

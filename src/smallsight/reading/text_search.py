"""Decides at which size a picture is searched for text: small first, and closer only where that is not
enough.

The first look at a small copy finds large letters and lets pictures without text go. What it may have missed
are cells with fine structure, and responses of the network that are too weak or too small. Photographs, which
have fine structure everywhere, get a second look at a middle size first. Then only tiles with such cells are
searched, at the scale at which the letters found so far have a good size. What was found is read at once,
because only lines that can be read explain the fine structure under them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.reading.closer_parts import first_look, parts_around
from smallsight.reading.fine_structure import CELL_PX, find_fine_structure
from smallsight.reading.joined_regions import join_pieces
from smallsight.reading.probability_maps import cells_with, in_twice_its_size
from smallsight.reading.text_detector import TextDetector
from smallsight.reading.text_regions import TextRegion, find_text_regions

__all__ = ["TextSearch"]

_LOOK_PIXELS = 384 * 416  # padding included
_MIDDLE_PIXELS = 640 * 640
_LEAST_LOOK = 0.25  # scale of the first look
_LEGIBLE_PX = 16.0  # height of a region, of letters and margin, from which its shape is taken as it is
_GOOD_PX = 22.0
_LARGE_PX = 36.0  # height from which the network does not miss a region
_SEEN_SHARE = 0.25  # of the cells of a region, in a smaller copy
_LARGEST_SCALE = 2.0
_CLOSER = 1.25  # a scale that is less than this times larger shows nothing new
_WEAK = 45  # of 255: where the network sees something like text in a small copy
_CLEAR = 77  # of 255: the same in a larger one, where letters show better
_MUCH = 0.03  # of the cells: so much text shows at any size, and textures often do not
_SAMPLE_CELLS = 24  # sides of the part of a drawing or page that tells small letters from a pattern
_SAMPLE_SHARE = 0.3  # of its cells in doubt, in which the network has to see text
_SMALL_SHARE = 0.2  # of the regions, in order of height, that decide the scale
_SAME_SHARE = 0.5  # of the smaller region's area
_ALIKE = 1.7  # heights of the same line, one over the other


class TextSearch:
    """Finds the lines of text in pictures of any size."""

    def __init__(self, detector: TextDetector) -> None:
        self._detector = detector

    def regions(
        self, image: Image.Image, readable: Callable[[Sequence[TextRegion]], list[TextRegion]]
    ) -> list[TextRegion]:
        """Return the lines of an RGB image, in its pixels; ``readable`` returns those that can be read.

        A line and what looks like a line inside its letters may both be among them.
        """
        pixels = image.width * image.height
        scale = first_look(image.size, _LOOK_PIXELS, _LEAST_LOOK)
        view = _View(image)
        found, weak = self._looked(view, scale, None, _WEAK)
        first, seen = scale, weak
        accepted, small = _by_size(found, scale)
        structure = find_fine_structure(image)
        doubtful = view.uncovered(structure.cells_HW | view.covered(small), readable(accepted))
        if doubtful.mean() > _MUCH:
            near = _grown(doubtful & _widened(weak), doubtful)
            rest = doubtful & ~near
            if not (structure.is_flat and rest.mean() > _MUCH and self._shows_text(image, rest)):
                doubtful = near
        doubtful |= view.uncovered(weak & structure.edges_HW, accepted)
        middle = min(1.0, math.sqrt(_MIDDLE_PIXELS / pixels))
        if not structure.is_flat and middle > _CLOSER * scale and doubtful.any():
            scale = middle
            found, weak = self._looked(view, scale, doubtful, _CLEAR)
            larger, small = _by_size(found, scale)
            larger = [one for one in larger if not view.was_missed(one, first, seen)]
            accepted = join_pieces(_merged(accepted, larger))
            readable(larger)
            doubtful = view.uncovered(weak & structure.edges_HW | view.covered(small), accepted)
        if doubtful.any() and (closer := _closer_scale(small, scale)) is not None:
            found, _ = self._looked(view, closer, doubtful, _CLEAR)
            found = [one for one in found if not view.was_missed(one, first, seen)]
            accepted = join_pieces(_merged(accepted, found))
        return _merged(accepted, small)

    def _shows_text(self, image: Image.Image, cells_HW: NDArray[np.bool_]) -> bool:
        """Return whether the part of an image with most of the cells has text in its full size.

        Letters of 13 pixels vanish in the first look at a screen, as the pattern of a drawing does.
        """
        top, left = _densest(cells_HW, _SAMPLE_CELLS)
        part_HW = cells_HW[top : top + _SAMPLE_CELLS, left : left + _SAMPLE_CELLS]
        box = (
            left * CELL_PX,
            top * CELL_PX,
            (left + part_HW.shape[1]) * CELL_PX,
            (top + part_HW.shape[0]) * CELL_PX,
        )
        map_HW = self._detector.probabilities(image.crop(box))
        rows, columns = part_HW.shape
        seen_HW = map_HW.reshape(rows, CELL_PX, columns, CELL_PX).max((1, 3)) >= _CLEAR
        return bool((seen_HW & part_HW).sum() >= _SAMPLE_SHARE * part_HW.sum())

    def _looked(
        self, view: _View, scale: float, cells_HW: NDArray[np.bool_] | None, least: int
    ) -> tuple[list[TextRegion], NDArray[np.bool_]]:
        """Return the regions at a scale, and the cells where the network's response is at least ``least``."""
        resized = view.resized(scale)
        x_factor, y_factor = view.image.width / resized.width, view.image.height / resized.height

        parts = None
        if cells_HW is not None:
            parts = parts_around(cells_HW, (CELL_PX / x_factor, CELL_PX / y_factor), resized.size)
        map_HW = self._detector.probabilities(resized, parts)
        weak_HW = cells_with(map_HW >= least, (x_factor, y_factor), view.cells)
        if scale < 1.0:  # the edges of small regions, more exactly than by whole pixels
            map_HW = in_twice_its_size(map_HW)
            x_factor, y_factor = x_factor / 2, y_factor / 2
        found = [region.scaled(x_factor, y_factor) for region in find_text_regions(map_HW)]
        return join_pieces(found), weak_HW


class _View:
    """An image, its cells, and which of them regions cover."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.cells = (-(-image.height // CELL_PX), -(-image.width // CELL_PX))

    def resized(self, scale: float) -> Image.Image:
        if scale == 1.0:
            return self.image
        size = (max(1, round(self.image.width * scale)), max(1, round(self.image.height * scale)))
        return self.image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)

    def covered(self, regions: Sequence[TextRegion], margin_px: float = 0.0) -> NDArray[np.bool_]:
        """Return the cells whose middle is in a region, or within the margin of it."""
        cells_HW = np.zeros(self.cells, np.bool_)
        for region in regions:
            left, top, right, bottom = region.bounds()
            rows = slice(
                max(0, int((top - margin_px) / CELL_PX)), max(0, math.ceil((bottom + margin_px) / CELL_PX))
            )
            columns = slice(
                max(0, int((left - margin_px) / CELL_PX)), max(0, math.ceil((right + margin_px) / CELL_PX))
            )
            part = cells_HW[rows, columns]
            if region.angle == 0.0:
                part[...] = True
                continue
            ys = (np.arange(rows.start, rows.start + part.shape[0]) + 0.5) * CELL_PX - region.y
            xs = (np.arange(columns.start, columns.start + part.shape[1]) + 0.5) * CELL_PX - region.x
            cos, sin = math.cos(region.angle), math.sin(region.angle)
            along = xs * cos + ys[:, None] * sin
            across = ys[:, None] * cos - xs * sin
            reach = CELL_PX / 2 + margin_px
            part |= (np.abs(along) <= region.width / 2 + reach) & (
                np.abs(across) <= region.height / 2 + reach
            )
        return cells_HW

    def was_missed(self, region: TextRegion, scale: float, seen_HW: NDArray[np.bool_]) -> bool:
        """Return whether letters would have been large at a scale, but little of them was seen there."""
        if region.line_height * scale < _LARGE_PX:
            return False
        there_HW = self.covered([region])
        return bool((seen_HW & there_HW).sum() < _SEEN_SHARE * there_HW.sum())

    def uncovered(self, cells_HW: NDArray[np.bool_], regions: Sequence[TextRegion]) -> NDArray[np.bool_]:
        """Return those of the cells that are not in or beside a region."""
        return cells_HW & ~self.covered(regions, CELL_PX / 2)


def _widened(cells_HW: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the cells and those up to two cells beside them."""
    for axis in (0, 1):
        padded = np.pad(cells_HW, [(2, 2) if axis == one else (0, 0) for one in (0, 1)])
        length = cells_HW.shape[axis]
        cells_HW = np.any([padded.take(range(at, at + length), axis) for at in range(5)], 0)
    return cells_HW


def _grown(cells_HW: NDArray[np.bool_], within_HW: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the cells and those of the others that hang together with them: the rest of a line."""
    while not np.array_equal(larger := _widened(cells_HW) & within_HW, cells_HW):
        cells_HW = larger
    return cells_HW


def _densest(cells_HW: NDArray[np.bool_], side: int) -> tuple[int, int]:
    """Return the row and the column at which a square of cells begins that has most of them."""
    sums_HW = np.pad(cells_HW.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows, columns = (min(side, length) for length in cells_HW.shape)
    counts_HW = (
        sums_HW[rows:, columns:]
        - sums_HW[:-rows, columns:]
        - sums_HW[rows:, :-columns]
        + sums_HW[:-rows, :-columns]
    )
    top, left = np.unravel_index(int(counts_HW.argmax()), counts_HW.shape)
    return int(top), int(left)


def _by_size(regions: Sequence[TextRegion], scale: float) -> tuple[list[TextRegion], list[TextRegion]]:
    """Return the regions that are large enough at a scale, and the others."""
    large = [one for one in regions if one.line_height * scale >= _LEGIBLE_PX]
    return large, [one for one in regions if one.line_height * scale < _LEGIBLE_PX]


def _closer_scale(small: Sequence[TextRegion], scale: float) -> float | None:
    """Return the scale at which small letters are searched for; None if it would be no closer look."""
    closer = 1.0
    if small:
        heights = sorted(one.line_height for one in small)
        closer = min(_LARGEST_SCALE, _GOOD_PX / max(1.0, heights[int(len(heights) * _SMALL_SHARE)]))
    return closer if closer > _CLOSER * scale else None


def _merged(kept: Sequence[TextRegion], new: Sequence[TextRegion]) -> list[TextRegion]:
    """Return both without regions of the same line; the longer one stays."""
    if not kept or not new:
        return [*kept, *new]
    boxes_N4 = np.array([one.bounds() for one in kept])
    areas_N = (boxes_N4[:, 2] - boxes_N4[:, 0]) * (boxes_N4[:, 3] - boxes_N4[:, 1])
    dropped: set[int] = set()
    added = []
    for region in new:
        left, top, right, bottom = region.bounds()
        common_N = np.clip(np.minimum(boxes_N4[:, 2], right) - np.maximum(boxes_N4[:, 0], left), 0, None)
        common_N *= np.clip(np.minimum(boxes_N4[:, 3], bottom) - np.maximum(boxes_N4[:, 1], top), 0, None)
        same = np.flatnonzero(common_N > _SAME_SHARE * np.minimum(areas_N, (right - left) * (bottom - top)))
        rivals = [kept[index] for index in same.tolist() if _is_alike(region, kept[index])]
        if all(_continues(region, one) for one in rivals):
            dropped.update(index for index in same.tolist() if _is_alike(region, kept[index]))
            added.append(region)
    return [one for index, one in enumerate(kept) if index not in dropped] + added


def _is_alike(one: TextRegion, other: TextRegion) -> bool:
    """Return whether the letters of two lines may be the same."""
    return max(one.line_height, other.line_height) < _ALIKE * min(one.line_height, other.line_height)


def _continues(new: TextRegion, old: TextRegion) -> bool:
    """Return whether the new region is more of the same line."""
    return max(new.width, new.height) > 1.1 * max(old.width, old.height)

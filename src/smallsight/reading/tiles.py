"""Reads an image that is too large for one look in overlapping tiles, and joins their lines.

A line that a tile's edge cuts is found whole or in parts by the next tile: parts are joined where their texts
meet, and of two readings of one line the longer stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from smallsight.reading.columns import in_columns
from smallsight.reading.text_line import TextLine

__all__ = ["read_in_tiles", "read_pages", "tile_boxes"]

_MAX_TILE_PX = 1_152
_OVERLAP_PX = 160  # two lines of the largest letters that are read well
_EDGE_PX = 8  # a line that comes so near an inner edge is taken for cut
_SAME_ROW = 0.5  # of the lower line's height
_SAME_WIDTH = 0.8  # of the shorter line's width
_MIN_COMMON_CHARS = 2
_SPARE_CHARS = 2  # letters are not equally wide

_Box = tuple[int, int, int, int]


@dataclass(slots=True, eq=False)
class _PlacedLine:
    """A line with its place in pixels of the image, and whether its tile cuts it lengthwise."""

    line: TextLine
    left: float
    top: float
    right: float
    bottom: float
    is_cut_across: bool

    @property
    def area(self) -> float:
        return max(1.0, self.right - self.left) * max(1.0, self.bottom - self.top)


def tile_boxes(width_px: int, height_px: int) -> list[_Box]:
    """Return (left, top, right, bottom) of tiles of nearly equal size, row by row."""
    return [
        (left, top, right, bottom) for top, bottom in _spans(height_px) for left, right in _spans(width_px)
    ]


def read_in_tiles(
    image_HWC: np.ndarray, max_side_px: int | None, read: Callable[[np.ndarray], Sequence[TextLine]]
) -> list[TextLine]:
    """Return the lines of an image in reading order; one of at most ``max_side_px`` is read whole.

    With None ``read`` takes images of any size, and returns lines that are in reading order.
    """
    if max_side_px is None:
        return list(read(image_HWC))
    height_px, width_px = image_HWC.shape[:2]
    if max(height_px, width_px) <= max_side_px:
        return in_columns(read(image_HWC), width_px, height_px)
    found: list[_PlacedLine] = []
    for box in tile_boxes(width_px, height_px):
        left, top, right, bottom = box
        for line in read(np.ascontiguousarray(image_HWC[top:bottom, left:right])):
            placed = _placed(line, box, width_px, height_px)
            # One that is lower than the overlap is whole in the next tile.
            if not (placed.is_cut_across and placed.bottom - placed.top < _OVERLAP_PX - 2 * _EDGE_PX):
                _add(found, placed)
    return in_columns([one.line for one in _in_reading_order(found)], width_px, height_px)


def read_pages(
    pages_HWC: Sequence[np.ndarray],
    max_side_px: int | None,
    read: Callable[[np.ndarray], Sequence[TextLine]],
    *,
    are_moments: bool,
) -> list[TextLine]:
    """Return the lines of all pages; of moments of one animation, each text once."""
    lines: list[TextLine] = []
    for page_HWC in pages_HWC:
        known = {line.text for line in lines} if are_moments else set()
        found = read_in_tiles(page_HWC, max_side_px, read)
        lines += [line for line in found if line.text not in known]
    return lines


def _spans(length_px: int) -> list[tuple[int, int]]:
    if length_px <= _MAX_TILE_PX:
        return [(0, length_px)]
    num = math.ceil((length_px - _OVERLAP_PX) / (_MAX_TILE_PX - _OVERLAP_PX))
    span_px = math.ceil((length_px + (num - 1) * _OVERLAP_PX) / num)
    starts = [round(index * (length_px - span_px) / (num - 1)) for index in range(num)]
    return [(start, start + span_px) for start in starts]


def _placed(line: TextLine, tile: _Box, width_px: int, height_px: int) -> _PlacedLine:
    left, top, right, bottom = tile
    xs = [left + x * (right - left) for x, _ in line.box]
    ys = [top + y * (bottom - top) for _, y in line.box]
    box = tuple((x / width_px, y / height_px) for x, y in zip(xs, ys, strict=True))
    is_cut_above = top > 0 and min(ys) < top + _EDGE_PX
    is_cut_below = bottom < height_px and max(ys) > bottom - _EDGE_PX
    return _PlacedLine(
        TextLine(line.text, line.confidence, box),
        min(xs),
        min(ys),
        max(xs),
        max(ys),
        is_cut_across=is_cut_above or is_cut_below,
    )


def _add(found: list[_PlacedLine], new: _PlacedLine) -> None:
    """Add a line, joining it with parts of the same line that other tiles found."""
    for index in range(len(found) - 1, -1, -1):
        old = found[index]
        if not _is_same_row(old, new):
            continue
        common = min(old.right, new.right) - max(old.left, new.left)
        if common >= _SAME_WIDTH * min(old.right - old.left, new.right - new.left):
            new = _better(old, new)
        elif common >= _SAME_ROW * min(old.bottom - old.top, new.bottom - new.top):
            new = _joined(old, new) if old.left < new.left else _joined(new, old)
        else:
            continue
        del found[index]
    found.append(new)


def _is_same_row(one: _PlacedLine, other: _PlacedLine) -> bool:
    common = min(one.bottom, other.bottom) - max(one.top, other.top)
    return common >= _SAME_ROW * min(one.bottom - one.top, other.bottom - other.top)


def _better(one: _PlacedLine, other: _PlacedLine) -> _PlacedLine:
    """Return the reading of a line that is whole, else the larger one."""
    if one.is_cut_across != other.is_cut_across:
        return other if one.is_cut_across else one
    return other if other.area > one.area else one


def _joined(left: _PlacedLine, right: _PlacedLine) -> _PlacedLine:
    box = (
        left.line.box[0],
        right.line.box[1],
        right.line.box[2],
        left.line.box[3],
    )
    confidence = min(left.line.confidence, right.line.confidence)
    return _PlacedLine(
        TextLine(_joined_text(left, right), confidence, box),
        left.left,
        min(left.top, right.top),
        right.right,
        max(left.bottom, right.bottom),
        is_cut_across=left.is_cut_across and right.is_cut_across,
    )


def _joined_text(left: _PlacedLine, right: _PlacedLine) -> str:
    """Return the texts joined where the end of one is the beginning of the other, but for cut letters."""
    common_px = left.right - right.left
    tail, head = _end(left, common_px), right.line.text[: len(_end(right, common_px))]
    common = SequenceMatcher(None, tail, head, autojunk=False).find_longest_match()
    kept = left.line.text[: len(left.line.text) - len(tail)]
    if common.size < _MIN_COMMON_CHARS:
        return f"{left.line.text} {right.line.text}"
    return kept + tail[: common.a] + right.line.text[common.b :]


def _end(found: _PlacedLine, length_px: float) -> str:
    """Return the end of a line's text that is about so long."""
    share = length_px / max(1.0, found.right - found.left)
    num_chars = math.ceil(len(found.line.text) * share) + _SPARE_CHARS
    return found.line.text[-num_chars:]


def _in_reading_order(found: list[_PlacedLine]) -> list[_PlacedLine]:
    """Return lines row by row; a row is what overlaps its first line's height by half."""
    rows: list[list[_PlacedLine]] = []
    for one in sorted(found, key=lambda each: each.top + each.bottom):
        if rows and _is_same_row(rows[-1][0], one):
            rows[-1].append(one)
        else:
            rows.append([one])
    return [one for row in rows for one in sorted(row, key=lambda each: each.left)]

"""Puts the lines of a picture into reading order: a column of prose from top to bottom, then the next one.

Pure geometry. Rows are kept where something else stands side by side: the items and prices of a receipt, the
bubbles of a chat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from smallsight.reading.text_line import TextLine

__all__ = ["in_columns"]

_MIN_LINES = 3  # of a column
_MIN_WIDTH = 5.5  # of a column's usual line, in heights: about a dozen letters; prices and dates are narrower
_MIN_GAP = 0.5  # between columns, in heights of a line
_MAX_GAP = 1.0  # in widths of the narrower column: the cells of a table stand farther apart
_MAX_COMPARED = 100  # lines
_MIN_SHARED_ROWS = 0.6  # of the lines beside a line of the other column
_WIDE = 0.55  # of the whole width: a heading above the columns, or a footer


@dataclass(frozen=True, slots=True, eq=False)
class _LineBox:
    """A line and its upright box, in pixels."""

    line: TextLine
    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return max(1e-6, self.bottom - self.top)


def in_columns(lines: Sequence[TextLine], width_px: int, height_px: int) -> list[TextLine]:
    """Return lines that come row by row, reordered where the picture has columns of prose."""
    return [span.line for span in _ordered([_span(line, width_px, height_px) for line in lines])]


def _span(line: TextLine, width_px: int, height_px: int) -> _LineBox:
    xs, ys = [x * width_px for x, _ in line.box], [y * height_px for _, y in line.box]
    return _LineBox(line, min(xs), min(ys), max(xs), max(ys))


def _ordered(spans: list[_LineBox]) -> list[_LineBox]:
    if len(spans) < 2 * _MIN_LINES:
        return spans
    if (gutter := _gutter(spans)) is not None:
        left = [one for one in spans if one.right <= gutter]
        right = [one for one in spans if one.right > gutter]
        return [*_ordered(left), *_ordered(right)]
    widest = _WIDE * (max(one.right for one in spans) - min(one.left for one in spans))
    if all(one.width > widest for one in spans) or not any(one.width > widest for one in spans):
        return spans
    ordered: list[_LineBox] = []
    band: list[_LineBox] = []
    for one in spans:
        if one.width > widest:
            ordered += [*_ordered(band), one]
            band = []
        else:
            band.append(one)
    return [*ordered, *_ordered(band)]


def _gutter(spans: list[_LineBox]) -> float | None:
    """Return the x at which the widest gap begins that parts two columns of prose, or None."""
    least_gap = _MIN_GAP * median(one.height for one in spans)
    best, best_gap = None, least_gap
    by_left = sorted(spans, key=lambda one: one.left)
    reach = by_left[0].right
    for index, one in enumerate(by_left):
        gap = one.left - reach
        if gap >= best_gap and _are_columns(by_left[:index], by_left[index:], gap):
            best, best_gap = reach, gap
        reach = max(reach, one.right)
    return best


def _are_columns(left: list[_LineBox], right: list[_LineBox], gap: float) -> bool:
    for side in (left, right):
        if len(side) < _MIN_LINES:
            return False
        width = median(one.width for one in side)
        if width < _MIN_WIDTH * median(one.height for one in side) or gap > _MAX_GAP * width:
            return False
    fewer, more = sorted((left, right), key=len)
    fewer = fewer[:: len(fewer) // _MAX_COMPARED + 1]
    shared = sum(any(_share_a_row(one, other) for other in more) for one in fewer)
    return shared >= _MIN_SHARED_ROWS * len(fewer)


def _share_a_row(one: _LineBox, other: _LineBox) -> bool:
    common = min(one.bottom, other.bottom) - max(one.top, other.top)
    return common > 0.2 * min(one.height, other.height)

"""How far two answers name the same places of a picture: the F1 of boxes, quadrilaterals or points."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

__all__ = ["overlap", "place_f1"]

Point = tuple[float, float]
Polygon = tuple[Point, ...]

_MIN_OVERLAP = 0.5


def place_f1(
    base: Mapping[str, Any] | None, variant: Mapping[str, Any] | None, *, point_radius_px: float | None = None
) -> float | None:
    """Return the F1 of the variant's places with the base's as reference, from the ``data`` of both answers.

    Boxes match if they overlap by half (intersection over union) and have the same label; quadrilaterals
    around text match by overlap alone, because their labels are the text; points match within
    ``point_radius_px`` and are ignored without it. Places are paired so that as many as possible match.
    Two answers without places agree: 1. None if neither answer is of a task that finds places.
    """
    base, variant = base or {}, variant or {}
    num_pairs = num_base = num_variant = 0
    is_measured = False
    for kind, matches in _kinds(point_radius_px).items():
        if kind not in base and kind not in variant:
            continue
        is_measured = True
        ours, theirs = _places(base, kind), _places(variant, kind)
        num_pairs += _num_matches([[matches(one, other) for other in theirs] for one in ours])
        num_base, num_variant = num_base + len(ours), num_variant + len(theirs)
    if not is_measured:
        return None
    return 2 * num_pairs / (num_base + num_variant) if num_base + num_variant else 1.0


def overlap(first: Sequence[float], second: Sequence[float]) -> float:
    """Return intersection over union of two shapes; a box is x1, y1, x2, y2, any other x, y of its corners.

    A shape of corners counts as its convex hull. A shape without area overlaps with nothing but itself.
    """
    one, other = _hull(_corners(first)), _hull(_corners(second))
    common = _area(_clipped(one, other))
    union = _area(one) + _area(other) - common
    return common / union if union > 0 else float(one == other)


_Labelled = tuple[str, Sequence[float]]


def _kinds(point_radius_px: float | None) -> dict[str, Callable[[_Labelled, _Labelled], bool]]:
    def is_box(one: _Labelled, other: _Labelled) -> bool:
        return one[0] == other[0] and overlap(one[1], other[1]) >= _MIN_OVERLAP

    def is_quad(one: _Labelled, other: _Labelled) -> bool:
        return overlap(one[1], other[1]) >= _MIN_OVERLAP

    def is_near(one: _Labelled, other: _Labelled) -> bool:
        return point_radius_px is not None and math.dist(one[1], other[1]) <= point_radius_px

    kinds: dict[str, Callable[[_Labelled, _Labelled], bool]] = {"bboxes": is_box, "quad_boxes": is_quad}
    if point_radius_px is not None:
        kinds["points"] = is_near
    return kinds


def _places(data: Mapping[str, Any], kind: str) -> list[_Labelled]:
    shapes = data.get(kind, ())
    labels = data.get("bboxes_labels", data.get("labels", ())) if kind == "bboxes" else ()
    if len(labels) != len(shapes):
        labels = [""] * len(shapes)
    return [
        (" ".join(str(label).split()).casefold(), shape) for label, shape in zip(labels, shapes, strict=True)
    ]


def _num_matches(matches: Sequence[Sequence[bool]]) -> int:
    """Return the largest number of pairs in which no row and no column comes twice (augmenting paths)."""
    row_of: dict[int, int] = {}

    def find_column(row: int, seen: set[int]) -> bool:
        for column, is_match in enumerate(matches[row]):
            if is_match and column not in seen:
                seen.add(column)
                if column not in row_of or find_column(row_of[column], seen):
                    row_of[column] = row
                    return True
        return False

    return sum(find_column(row, set()) for row in range(len(matches)))


def _corners(shape: Sequence[float]) -> Polygon:
    if len(shape) == 4:
        left, top, right, bottom = shape
        return (left, top), (right, top), (right, bottom), (left, bottom)
    return tuple(zip(shape[0::2], shape[1::2], strict=True))


def _hull(corners: Polygon) -> Polygon:
    """Return the convex hull, each corner once, all turns in one direction (monotone chain)."""
    found: list[Point] = []
    points = sorted(set(corners))
    for side in (points, points[::-1]):
        chain: list[Point] = []
        for point in side:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        found += chain[:-1]
    return tuple(found) or tuple(points)


def _clipped(polygon: Polygon, by: Polygon) -> Polygon:
    """Return the part of a convex polygon inside another one (Sutherland and Hodgman)."""
    for begin, end in pairwise((*by, *by[:1])):
        kept: list[Point] = []
        for last, point in pairwise((*polygon[-1:], *polygon)):
            before, now = _turn(begin, end, last), _turn(begin, end, point)
            if before * now < 0:
                share = before / (before - now)
                kept.append((last[0] + share * (point[0] - last[0]), last[1] + share * (point[1] - last[1])))
            if now >= 0:
                kept.append(point)
        polygon = tuple(kept)
    return polygon


def _turn(begin: Point, end: Point, point: Point) -> float:
    """Return twice the signed area of a triangle: above 0 where ``point`` lies on the inner side."""
    return (end[0] - begin[0]) * (point[1] - begin[1]) - (end[1] - begin[1]) * (point[0] - begin[0])


def _area(polygon: Polygon) -> float:
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise((*polygon, *polygon[:1])))) / 2

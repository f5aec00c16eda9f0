"""The F1 of places that two answers name."""

from __future__ import annotations

import random

import pytest

from smallsight.validation.place_scores import overlap, place_f1

CAT, DOG, FAR = [0, 0, 10, 10], [20, 20, 40, 40], [80, 80, 90, 90]


def boxes(*places):
    return {"task": "<OD>", "bboxes": [box for _, box in places], "labels": [label for label, _ in places]}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (CAT, CAT, 1.0),
        (CAT, [0, 0, 10, 5], 0.5),
        (CAT, [5, 5, 15, 15], 25 / 175),
        (CAT, [10, 0, 20, 10], 0.0),
        (CAT, [2, 2, 4, 4], 0.04),
        (CAT, [10, 10, 0, 0], 1.0),  # corners in another order
        (CAT, [0, 0, 10, 0, 10, 10, 0, 10], 1.0),
        ([0, 0, 10, 0, 0, 10, 10, 10], CAT, 1.0),  # crossed sides
        ([5, 0, 10, 5, 5, 10, 0, 5], CAT, 0.5),  # a square on its corner
        ([0, 0, 10, 0, 10, 10], [0, 0, 10, 10, 0, 10], 0.0),
        ([5, 5, 5, 5], CAT, 0.0),
        ([5, 5, 5, 5], [5, 5, 5, 5], 1.0),
        ([5, 5, 5, 5], [6, 6, 6, 6], 0.0),
    ],
)
def test_overlap_is_intersection_over_union(first, second, expected):
    assert overlap(first, second) == pytest.approx(expected)
    assert overlap(second, first) == pytest.approx(expected)


def test_overlap_of_random_quadrilaterals_is_that_of_counted_pixels():
    source = random.Random(2)
    for _ in range(5):
        quads = [
            rotated(source.uniform(20, 40), source.uniform(20, 40), source.uniform(5, 15)) for _ in range(2)
        ]
        inside = [[within(quad, x + 0.5, y + 0.5) for x in range(60) for y in range(60)] for quad in quads]
        both = sum(a and b for a, b in zip(*inside, strict=True))
        either = sum(a or b for a, b in zip(*inside, strict=True))
        assert overlap(*quads) == pytest.approx(both / either, abs=0.05)


def rotated(x, y, size):
    """Return a diamond."""
    return [x - size, y, x, y - size, x + size, y, x, y + size]


def within(quad, x, y):
    middle_x, middle_y, size = quad[2], quad[1], quad[4] - quad[2]
    return abs(x - middle_x) + abs(y - middle_y) <= size


@pytest.mark.parametrize(
    ("base", "variant", "expected"),
    [
        (boxes(("cat", CAT)), boxes(("cat", CAT)), 1.0),
        (boxes(("cat", CAT)), boxes(("Cat ", [0, 0, 10, 9])), 1.0),
        (boxes(("cat", CAT)), boxes(("dog", CAT)), 0.0),
        (boxes(("cat", CAT)), boxes(("cat", FAR)), 0.0),
        (boxes(("cat", CAT), ("dog", DOG)), boxes(("dog", DOG)), 2 / 3),
        (boxes(("cat", CAT)), boxes(("cat", CAT), ("cat", CAT)), 2 / 3),
        (boxes(("cat", CAT)), boxes(), 0.0),
        (boxes(), boxes(), 1.0),
        (boxes(("cat", CAT)), None, 0.0),
    ],
)
def test_f1_counts_boxes_with_the_same_label_that_overlap_by_half(base, variant, expected):
    assert place_f1(base, variant) == pytest.approx(expected)


def test_places_are_paired_so_that_as_many_as_possible_match():
    wide, left = [0, 0, 10, 10], [0, 0, 6, 10]
    base = boxes(("cat", wide), ("cat", left))
    # The first of the base matches both, the second only the first of the variant.
    assert place_f1(base, boxes(("cat", [0, 0, 7, 10]), ("cat", [2, 0, 10, 10]))) == 1.0


def test_quadrilaterals_around_text_match_whatever_was_read():
    quad = [0, 0, 10, 0, 10, 5, 0, 5]
    base = {"quad_boxes": [quad], "labels": ["EXIT"]}
    assert place_f1(base, {"quad_boxes": [quad], "labels": ["EX1T"]}) == 1.0


def test_points_match_within_a_radius():
    base, variant = {"points": [[10, 10], [50, 50]]}, {"points": [[13, 14]]}
    assert place_f1(base, variant, point_radius_px=5) == pytest.approx(2 / 3)
    assert place_f1(base, variant, point_radius_px=4) == 0.0
    assert place_f1(base, variant) is None


def test_answers_without_places_are_not_measured():
    assert place_f1(None, None) is None
    assert place_f1({"task": "<CAPTION>"}, {"task": "<CAPTION>"}) is None

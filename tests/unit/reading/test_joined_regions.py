"""Pieces of one line are one region."""

from __future__ import annotations

import math

import pytest

from smallsight.reading.joined_regions import join_pieces
from smallsight.reading.text_regions import TextRegion


def region(left: float, y: float, width: float, height: float = 20, degrees: float = 0) -> TextRegion:
    angle = math.radians(degrees)
    x = left + width / 2
    return TextRegion(
        x * math.cos(angle) - y * math.sin(angle),
        x * math.sin(angle) + y * math.cos(angle),
        width,
        height,
        angle,
        0.9,
    )


@pytest.mark.parametrize("degrees", [0, 6, -20])
def test_pieces_whose_margins_meet_are_one_line(degrees: float):
    pieces = [
        region(100, 50, 30, 20, degrees),
        region(128, 51, 200, 22, degrees),
        region(325, 50, 100, 20, degrees),
    ]
    (line,) = join_pieces(pieces[::-1])
    assert (line.width, line.height) == pytest.approx((325, 22), abs=0.5)
    assert math.degrees(line.angle) == pytest.approx(degrees)


def test_what_is_apart_or_on_another_row_or_much_larger_stays():
    for other in (
        region(140, 50, 50),
        region(120, 66, 50),
        region(125, 50, 300, 60),
        region(125, 50, 50, 20, 9),
    ):
        pieces = [region(100, 50, 30), other]
        assert sorted(join_pieces(pieces), key=lambda one: one.x) == sorted(pieces, key=lambda one: one.x)


def test_rows_and_columns_of_text_that_stands_are_kept():
    standing = [TextRegion(50, 100, 20, 180, 0, 0.9), TextRegion(69, 100, 20, 180, 0, 0.9)]
    assert join_pieces(standing) == standing
    rows = [region(100, 30 * row, 300) for row in range(5)]
    assert join_pieces(rows) == rows

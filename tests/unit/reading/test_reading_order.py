"""The order of lines on pages that stand any way."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smallsight.reading.reading_order import in_reading_order
from smallsight.reading.text_line import TextLine

WIDTH_PX, HEIGHT_PX = 900, 1200
PROSE = [(60, 100 + row * 70, 500, f"line {row} of a page") for row in range(6)]
COLUMNS = [
    (60 + 420 * column, 100 + row * 70, 380, f"column {column} row {row}")
    for column in (0, 1)
    for row in range(6)
]
PRICES = [
    (left, 100 + row * 70, width, f"{name} {row}")
    for row in range(5)
    for left, width, name in ((60, 200, "item"), (700, 90, "9.90"))
]


def turned(lines: list[tuple[int, int, int, str]], degrees: float) -> list[TextLine]:
    """Return lines of a page that was turned to the right, in an order that says nothing."""
    angle = math.radians(degrees)
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    found = []
    for left, top, width, text in lines:
        box = np.array([(left, top), (left + width, top), (left + width, top + 40), (left, top + 40)]) / 2.0
        placed = (box - (WIDTH_PX / 4, HEIGHT_PX / 4)) @ matrix + (WIDTH_PX / 2, HEIGHT_PX / 2)
        found.append(TextLine(text, 0.9, tuple(map(tuple, (placed / (WIDTH_PX, HEIGHT_PX)).tolist()))))
    return sorted(found, key=lambda line: hash((line.box[0], "any")))


@pytest.mark.parametrize("degrees", [0, 4, -9, 90, 180, 270, 95])
@pytest.mark.parametrize("lines", [PROSE, COLUMNS, PRICES], ids=["prose", "columns", "prices"])
def test_lines_of_a_turned_page_come_as_on_the_upright_one(
    lines: list[tuple[int, int, int, str]], degrees: int
):
    found = in_reading_order(turned(lines, degrees), WIDTH_PX, HEIGHT_PX)
    assert [line.text for line in found] == [text for _, _, _, text in lines]


def test_vertical_columns_come_from_the_right():
    def column(x: float, text: str) -> TextLine:
        return TextLine(text, 0.9, ((x + 0.05, 0.1), (x + 0.05, 0.9), (x, 0.9), (x, 0.1)))

    found = in_reading_order([column(0.1, "三三三"), column(0.7, "一一一"), column(0.4, "二二二")], 600, 600)
    assert [line.text for line in found] == ["一一一", "二二二", "三三三"]


def test_the_lines_themselves_are_returned():
    lines = turned(PROSE, 180)
    assert set(in_reading_order(lines, WIDTH_PX, HEIGHT_PX)) == set(lines)
    assert in_reading_order(lines[:1], WIDTH_PX, HEIGHT_PX) == lines[:1]
    assert in_reading_order([], WIDTH_PX, HEIGHT_PX) == []

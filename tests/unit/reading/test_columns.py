"""Columns of prose are read one after the other; receipts, chats and single columns stay row by row."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from smallsight.reading.columns import in_columns
from smallsight.reading.text_line import TextLine
from smallsight.reading.text_reader import TextReader, is_reading_available
from smallsight.settings import Settings

WIDTH_PX, HEIGHT_PX, LINE_PX = 1000, 800, 20


def line(text: str, left: int, top: int, width: int) -> TextLine:
    xs, ys = (left / WIDTH_PX, (left + width) / WIDTH_PX), (top / HEIGHT_PX, (top + LINE_PX) / HEIGHT_PX)
    return TextLine(text, 0.9, ((xs[0], ys[0]), (xs[1], ys[0]), (xs[1], ys[1]), (xs[0], ys[1])))


def by_rows(lines: list[TextLine]) -> list[TextLine]:
    """Return lines as OCR gives them: row by row, from left to right."""
    return sorted(lines, key=lambda one: (round(one.box[0][1] * HEIGHT_PX / LINE_PX), one.box[0][0]))


def column(
    name: str, left: int, width: int, *, rows: int = 8, top: int = 100, step: int = 30
) -> list[TextLine]:
    return [line(f"{name}{row}", left, top + row * step, width - row % 3 * 20) for row in range(rows)]


def texts(lines: list[TextLine]) -> list[str]:
    return [one.text for one in lines]


HEADING, FOOTER = line("heading", 40, 20, 900), line("footer", 40, 700, 900)
PAGES = {
    "two columns": [column("a", 40, 420), column("b", 520, 420)],
    "two columns with little between them": [column("a", 40, 460), column("b", 512, 420)],
    "two columns of other lengths": [column("a", 40, 420), column("b", 520, 420, rows=15)],
    "two columns that are not aligned": [column("a", 40, 420), column("b", 520, 420, top=109, step=27)],
    "two columns of three short lines": [column("a", 40, 132, rows=3), column("b", 260, 132, rows=3)],
    "three columns": [column(name, left, 280) for name, left in (("a", 40), ("b", 360), ("c", 680))],
    "a heading and a footer": [[HEADING], column("a", 40, 420), column("b", 520, 420), [FOOTER]],
    "two stories": [
        [HEADING],
        column("a", 40, 420, rows=5),
        column("b", 520, 420, rows=5),
        [line("middle", 40, 300, 900)],
        column("c", 40, 420, rows=5, top=340),
        column("d", 520, 420, rows=5, top=340),
    ],
}


@pytest.mark.parametrize("name", PAGES)
def test_columns_of_prose_are_read_one_after_the_other(name):
    expected = [one for part in PAGES[name] for one in part]
    assert texts(in_columns(by_rows(expected), WIDTH_PX, HEIGHT_PX)) == texts(expected)


CHAT = [line(f"{n}", 40 if n % 2 else 560, 40 + n * 45, 380) for n in range(14)]
RECEIPT = [
    one
    for n in range(9)
    for one in (line(f"item{n}", 40, 60 + n * 40, 300), line(f"{n}.50", 860, 60 + n * 40, 70))
]


@pytest.mark.parametrize(
    "lines",
    [
        CHAT,
        RECEIPT,
        column("a", 40, 900, rows=20),
        column("a", 40, 300, rows=2) + column("b", 500, 300, rows=2),
        [],
    ],
    ids=["chat", "receipt", "one column", "a meme of four panels", "nothing"],
)
def test_everything_else_stays_row_by_row(lines):
    given = by_rows(lines)
    assert in_columns(given, WIDTH_PX, HEIGHT_PX) == given


def test_no_line_is_lost_or_doubled_whatever_the_layout():
    rng = random.Random(7)
    for _ in range(300):
        lines = [
            line(str(n), rng.randrange(900), rng.randrange(780), rng.randrange(1, 500))
            for n in range(rng.randrange(40))
        ]
        ordered = in_columns(by_rows(lines), WIDTH_PX, HEIGHT_PX)
        assert sorted(texts(ordered)) == sorted(texts(lines))


@pytest.mark.skipif(not is_reading_available(), reason="needs the ocr extra")
def test_a_phrase_that_runs_on_within_a_column_is_read_together(tmp_path):
    left = "The harbour was quiet before dawn and nobody saw the yellow boat leave the pier at last".split()
    right = "Prices rose again in spring because the railway had closed its line across the mountain".split()
    image = Image.new("RGB", (1000, 420), "white")
    draw = ImageDraw.Draw(image)
    for x, words in ((40, left), (540, right)):
        for row in range(0, len(words), 4):
            draw.text(
                (x, 40 + row // 4 * 55), " ".join(words[row : row + 4]), "black", ImageFont.load_default(28)
            )
    with TextReader(Settings(home=tmp_path)) as reader:
        found = reader.read(np.asarray(image))
    text = "".join(one.text for one in found).replace(" ", "")
    assert "nobodysawtheyellowboatleavethepier" in text
    assert "becausetherailwayhadclosed" in text

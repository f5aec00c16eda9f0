from __future__ import annotations

import pytest

from smallsight.library.misreadings import without_misreadings
from smallsight.library.texts import EmbeddableTexts, chunk_texts
from smallsight.reading.text_line import TextLine


def kept(*lines):
    read = [TextLine(text, confidence, ()) for text, confidence in lines]
    return [line.text for line in without_misreadings(read)]


@pytest.mark.parametrize(
    "line", [("X", 0.5), ("世", 0.62), ("OO", 0.64), ("●", 0.99), ("× ×", 0.93), ("目", 0.97), (".", 1.0)]
)
def test_short_lines_that_are_no_text_are_dropped(line):
    assert kept(line, ("still life", 0.6)) == ["still life"]


@pytest.mark.parametrize(
    "line", [("7", 1.0), ("11", 0.99), ("OK", 0.9), ("To", 0.99), ("3€", 0.99), ("酒", 0.99)]
)
def test_short_lines_read_with_certainty_stay(line):
    assert kept(line) == [line[0]]


def test_an_ideograph_stays_among_others():
    assert kept(("加班到深夜", 0.9), ("夜", 0.9)) == ["加班到深夜", "夜"]


def test_one_or_two_letters_are_not_embedded():
    assert chunk_texts(EmbeddableTexts("8", None, ["ok"], [])) == ["ok"]
    assert chunk_texts(EmbeddableTexts("慧", None, [], [])) == []
    assert chunk_texts(EmbeddableTexts("OK then", "a cat", [], [])) == ["a cat", "OK then"]

"""Icons beside words, where a picture has no Chinese or Japanese text, and where it has."""

from __future__ import annotations

import pytest

from smallsight.reading.icons import without_icons
from smallsight.reading.text_line import TextLine

BOX = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def texts(*lines: str, confidence: float = 0.9) -> list[str]:
    return [line.text for line in without_icons([TextLine(text, confidence, BOX) for text in lines])]


@pytest.mark.parametrize(
    ("read", "meant"),
    [
        ("\u65e5Archive", "Archive"),
        ("\u8863 blender", "blender"),
        ("\u5fc6 809", "809"),
        ("809 Retweets \u53e3", "809 Retweets"),
        ("5\u6708", "5\u6708"),
        ("\u7b2c3\u56de", "\u7b2c3\u56de"),
        ("Archive", "Archive"),
    ],
)
def test_an_icon_beside_a_word_comes_off(read: str, meant: str):
    assert texts(read) == [meant]


def test_a_line_of_one_icon_is_no_text_unless_it_is_sure():
    assert texts("\u53e3", "Settings") == ["Settings"]
    assert texts("\u7981", confidence=0.99) == ["\u7981"]


def test_where_there_is_chinese_everything_stays():
    lines = ("\u65e5Archive", "\u8bbe\u7f6e", "\u53e3")
    assert texts(*lines) == list(lines)

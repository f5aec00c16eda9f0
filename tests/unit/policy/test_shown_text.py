"""What reaches a terminal from names, answers and messages."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsight.policy.shown_text import in_lines, on_one_line


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x\x1b]0;TITLE\x07\x1b[31mred.png", r"x\x1b]0;TITLE\x07\x1b[31mred.png"),
        ("two\nlines\r.png", r"two\nlines\r.png"),
        ("c1\x9b31m.png", r"c1\x9b31m.png"),
        ("invoice\u202egnp.exe", r"invoice\u202egnp.exe"),
        ("line\u2028separator", r"line\u2028separator"),
        ("caf\udce9.png", r"caf\udce9.png"),
        ("Zürich 日本 👨‍👩‍👧 שלום.png", "Zürich 日本 👨‍👩‍👧 שלום.png"),
    ],
)
def test_a_name_takes_one_line_and_controls_nothing(name, shown):
    assert on_one_line(name) == shown


def test_a_text_keeps_its_lines_and_nothing_else():
    assert in_lines("one\n\ttwo\r\x1b[2J") == "one\n\ttwo\\r\\x1b[2J"


@given(st.text(st.characters(codec=None)))
def test_nothing_shown_is_a_control_character(text):
    shown = on_one_line(text)
    assert not {unicodedata.category(one) for one in shown} & {"Cc", "Cs", "Zl", "Zp"}
    shown.encode()

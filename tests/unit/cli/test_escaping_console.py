"""Whatever is printed, the terminal gets only the console's own control characters."""

from __future__ import annotations

import io

import pytest
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from smallsight.cli.escaping_console import EscapingConsole

NAME = "x\x1b[31m\x07red\u202e.png"


def printed(thing: object, **options: object) -> str:
    file = io.StringIO()
    EscapingConsole(file=file, force_terminal=True, width=80, **options).print(thing)
    return file.getvalue()


def test_control_characters_of_texts_tables_and_strings_are_escaped_or_dropped():
    table = Table()
    table.add_column("name")
    table.add_row(NAME)
    for thing in (NAME, Text(NAME), table):
        shown = printed(thing, color_system=None)
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)
        assert r"x\x1b[31m" in shown


def test_its_own_colours_are_left():
    assert "\x1b[" in printed(Text("red", style="red"), color_system="standard")


@pytest.mark.parametrize("columns", ["0", "1", "5", "19"])
def test_all_text_is_printed_where_a_terminal_says_it_has_no_or_few_columns(monkeypatch, columns):
    """rich 15.0.0 prints nothing in 0 columns, and fails in as many as an indented line is indented."""
    monkeypatch.setenv("COLUMNS", columns)
    file = io.StringIO()
    console = EscapingConsole(file=file, force_terminal=True, color_system=None)
    console.print(Padding("abc" * 20, (0, 0, 0, 5)))
    assert "".join(file.getvalue().split()) == "abc" * 20
    assert console.width == (80 if columns == "0" else 20)
    console.size = (100, 30)
    assert console.size == (100, 30)

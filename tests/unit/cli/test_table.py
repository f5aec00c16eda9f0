"""One format of lists: nothing is cut, whatever the width of the terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import sys

import pytest
from rich.text import Text

from smallsight.cli.output import Output
from smallsight.cli.table import Column, ListRow, print_details, print_table
from smallsight.cli.units import counted, duration_text

COLUMNS = (Column("Model"), Column("Size", is_number=True), Column("Files"))
ROWS = [
    ListRow((Text("SmolVLM-256M-Instruct-int8", style="bold"), "256 M", "get 513 MB"), "Chat about pictures"),
    ListRow(("猫のモデル", "6.5 M", "here")),
    ListRow(("evil\x1b[31m\nname", "", "none")),
]


def printed_on_a_terminal(width: int, call) -> str:
    """Return what a function prints on a terminal of this many columns, without colours."""
    ours, theirs = pty.openpty()
    before = sys.stdout
    sys.stdout = os.fdopen(theirs, "w", closefd=False)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", str(width))
            patch.setenv("TERM", "xterm")
            call(Output(json=False, quiet=False))
        sys.stdout.flush()
        shown = b""
        while select.select([ours], [], [], 0.2)[0]:
            shown += os.read(ours, 65_536)
        return re.sub(r"\x1b\[[0-9;]*m|\r", "", shown.decode())
    finally:
        sys.stdout = before
        os.close(theirs)
        os.close(ours)


def test_columns_under_a_header(capsys):
    print_table(Output(json=False, quiet=False), COLUMNS, ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "Model                        Size  Files",
        "SmolVLM-256M-Instruct-int8  256 M  get 513 MB",
        "  Chat about pictures",
        "猫のモデル                  6.5 M  here",
        r"evil\x1b[31m\nname                 none",
    ]


def test_nothing_is_printed_for_an_empty_list(capsys):
    print_table(Output(json=False, quiet=False), COLUMNS, [])
    assert capsys.readouterr().out == ""


def test_a_narrow_terminal_shows_records_and_everything_of_them():
    shown = printed_on_a_terminal(30, lambda out: print_table(out, COLUMNS, ROWS[:2]))
    assert shown.splitlines() == [
        "SmolVLM-256M-Instruct-int8",
        "  Size: 256 M",
        "  Files: get 513 MB",
        "  Chat about pictures",
        "猫のモデル",
        "  Size: 6.5 M  Files: here",
    ]


def test_values_of_details_are_wrapped_beside_their_names():
    rows = [("Model", "tiny"), ("Good at", "flat drawings and large text, and nothing else")]
    shown = printed_on_a_terminal(40, lambda out: print_details(out, rows))
    assert [line.rstrip() for line in shown.splitlines()] == [
        "Model    tiny",
        "Good at  flat drawings and large text,",
        "         and nothing else",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (59, "59 s"), (1123, "19 min"), (7_500, "2 h 5 min"), (7_200, "2 h"), (300_000, "3 days")],
)
def test_durations_as_people_say_them(seconds: float, text: str):
    assert duration_text(seconds) == text


def test_one_of_them_has_no_plural():
    assert [counted(number, "picture") for number in (0, 1, 1204)] == [
        "0 pictures",
        "1 picture",
        "1,204 pictures",
    ]
    assert counted(2, "library", "libraries") == "2 libraries"

"""The one format of lists: columns under a header, or one record under another where columns do not fit."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from smallsight.policy.shown_text import on_one_line

if TYPE_CHECKING:
    from smallsight.cli.output import Output

_GAP = "  "
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """The title of a column; numbers are aligned right."""

    title: str
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class ListRow:
    """One line of a list, a cell for each column; ``note`` is printed below it."""

    cells: Sequence[str | Text]
    note: str | None = None


def print_table(out: Output, columns: Sequence[Column], rows: Iterable[ListRow]) -> None:
    """Print rows under a header; nothing for no rows.

    Nothing is truncated: on a terminal that is too narrow for the columns each row is printed as a record,
    its first cell above the others. Elsewhere lines are as long as they need to be.
    """
    shown = [([_as_text(cell) for cell in row.cells], row.note) for row in rows]
    if not shown:
        return
    width = out.console.width if sys.stdout.isatty() else None
    widths = [
        max(cell_len(column.title), *(cell_len(cells[place].plain) for cells, _ in shown))
        for place, column in enumerate(columns)
    ]
    if width is None or sum(widths) + len(_GAP) * (len(widths) - 1) <= width:
        _print_columns(out, columns, widths, shown)
    else:
        _print_records(out, columns, shown, width)


def print_details(out: Output, rows: Iterable[tuple[str, str | Text]]) -> None:
    """Print names with their values, the values aligned and wrapped beside the names."""
    shown = [(name, value if isinstance(value, Text) else Text(value)) for name, value in rows]
    margin = max((cell_len(name) for name, _ in shown), default=0) + len(_GAP)
    for name, value in shown:
        lines = _lines(out, value, margin)
        for number, line in enumerate(lines):
            head = Text(_padded(name if number == 0 else "", margin), style="dim")
            out.console.print(head.append_text(line), soft_wrap=True)


def _print_columns(
    out: Output,
    columns: Sequence[Column],
    widths: Sequence[int],
    shown: Sequence[tuple[list[Text], str | None]],
) -> None:
    titles = [Text(column.title, style="bold dim") for column in columns]
    for cells, note in [(titles, None), *shown]:
        line = Text()
        for column, width, cell in zip(columns, widths, cells, strict=True):
            space = " " * (width - cell_len(cell.plain))
            line.append(_GAP if line.plain else "")
            line.append_text(Text(space) + cell if column.is_number else cell + Text(space))
        line.rstrip()
        out.console.print(line, soft_wrap=True)
        if note:
            _print_note(out, note)


def _print_records(
    out: Output, columns: Sequence[Column], shown: Sequence[tuple[list[Text], str | None]], width: int
) -> None:
    for cells, note in shown:
        out.console.print(cells[0], soft_wrap=True)
        line = Text(_INDENT)
        for column, cell in zip(columns[1:], cells[1:], strict=True):
            if not cell.plain:
                continue
            pair = Text.assemble((f"{column.title}: ", "dim"), cell)
            if line.plain.strip() and cell_len(line.plain) + len(_GAP) + cell_len(pair.plain) > width:
                out.console.print(line, soft_wrap=True)
                line = Text(_INDENT)
            line.append(_GAP if line.plain.strip() else "")
            line.append_text(pair)
        if line.plain.strip():
            out.console.print(line, soft_wrap=True)
        if note:
            _print_note(out, note)


def _print_note(out: Output, note: str) -> None:
    for line in _lines(out, Text(note, style="dim"), len(_INDENT)):
        out.console.print(Text(_INDENT).append_text(line), soft_wrap=True)


def _lines(out: Output, value: Text, margin: int) -> list[Text]:
    """Return the lines of a value, wrapped on a terminal to what is left beside the margin."""
    if not sys.stdout.isatty():
        return list(value.split("\n"))
    return list(value.wrap(out.console, max(out.console.width - margin, 20)))


def _as_text(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(on_one_line(cell))


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))

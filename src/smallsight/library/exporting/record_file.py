"""Writes records as JSON lines or CSV to an open text file."""

from __future__ import annotations

import csv
import json
from typing import Any, Protocol, TextIO

from smallsight.library.exporting.record import PictureRecord, as_data

__all__ = ["CSV_COLUMNS", "CsvWriter", "JsonLinesWriter", "RecordWriter", "csv_row", "joined"]

CSV_COLUMNS = (
    *("path", "other_paths", "sha256", "size_bytes", "format", "width_px", "height_px", "frames"),
    *("text", "text_by", "description", "description_by", "description_model"),
    "description_origin",
    *("tags", "machine_tags", "problems", "indexed_at_s"),
    *("taken", "date_origin", "camera", "kind"),
)
_PLACE_COLUMNS = ("latitude", "longitude")
_BYTE_ORDER_MARK = "\ufeff"  # without it, Excel takes UTF-8 for the encoding of the machine's language
_FORMULA_BEGIN = frozenset("=+-@\t'＝＋－＠")
_DROPPED = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)))  # control characters


class RecordWriter(Protocol):
    """Writes records one by one."""

    def write(self, record: PictureRecord) -> None:
        """Write one record."""
        ...

    def close(self) -> None:
        """Write what is left in memory; the file itself stays open."""
        ...


class JsonLinesWriter:
    """One JSON object a line, in ASCII."""

    def __init__(self, file: TextIO, *, with_places: bool = False) -> None:
        self._file = file
        self._with_places = with_places

    def write(self, record: PictureRecord) -> None:
        """Write one line."""
        self._file.write(json.dumps(as_data(record, with_places=self._with_places)) + "\n")

    def close(self) -> None:
        """Do nothing."""


class CsvWriter:
    """RFC 4180 with a header, in UTF-8 with a byte order mark."""

    def __init__(self, file: TextIO, *, with_places: bool = False) -> None:
        file.write(_BYTE_ORDER_MARK)
        self._with_places = with_places
        self._rows = csv.writer(file, lineterminator="\r\n")
        self._rows.writerow([*CSV_COLUMNS, *_PLACE_COLUMNS] if with_places else CSV_COLUMNS)

    def write(self, record: PictureRecord) -> None:
        """Write one row."""
        self._rows.writerow(csv_row(record, with_places=self._with_places))

    def close(self) -> None:
        """Do nothing."""


def csv_row(record: PictureRecord, *, with_places: bool = False) -> list[Any]:
    """Return the cells of a record.

    Spreadsheets run a text that begins like a formula, so such a text gets a leading "'", and so does one
    that begins with "'" itself: removing one "'" restores every text. Control characters other than line
    breaks and tabs are dropped.
    """
    data = as_data(record, with_places=with_places)
    cells = data | {
        "other_paths": joined(data["other_paths"]),
        "tags": joined([tag.name for tag in record.tags]),
        "machine_tags": joined(record.machine_tags),
        "problems": joined(data["problems"]),
    }
    names = [*CSV_COLUMNS, *_PLACE_COLUMNS] if with_places else CSV_COLUMNS
    return [_cell(cells[name]) for name in names]


def joined(values: list[str] | tuple[str, ...]) -> str:
    r"""Join with ";"; in the values, "\" is written as "\\" and ";" as "\;"."""
    return ";".join(value.replace("\\", "\\\\").replace(";", "\\;") for value in values)


def _cell(value: Any) -> Any:  # noqa: ANN401 - a text, a number or None
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n").translate(_DROPPED)
    return f"'{text}" if text[:1] in _FORMULA_BEGIN else text

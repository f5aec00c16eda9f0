"""The columns of a row: what they are called, their order, and their types in Parquet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smallsight.errors import SettingsError

__all__ = [
    "CAPTION",
    "TEXT",
    "CaptionColumns",
    "check_columns",
    "data_column",
    "parse_prompts",
    "vector_column",
]

CAPTION = "caption"  # of a prompt without a name
TEXT = "text"  # what OCR reads
_BEFORE = ("source", "key", "name", "sha256", "size_bytes", "format", "width_px", "height_px", "model")
_AFTER = ("cut", "error_code", "error")
_NAMED = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63})=(.*)", re.DOTALL)
_COUNTS = frozenset({"size_bytes", "width_px", "height_px"})


@dataclass(frozen=True, slots=True)
class CaptionColumns:
    """Which columns there are besides those of every run.

    ``prompts`` are columns with answers, ``tasks`` those of them whose answers are data too. With
    ``reads_text`` there is a column of text; ``embedded`` are the columns that get a vector.
    """

    prompts: tuple[str, ...]
    tasks: frozenset[str] = frozenset()
    reads_text: bool = False
    embedded: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        answers = [one for name in self.prompts for one in (name, *self._data_of(name))]
        text = (TEXT,) if self.reads_text else ()
        return (*_BEFORE, *answers, *text, *map(vector_column, self.embedded), *_AFTER)

    def row(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row with every column in order; what is not in ``facts`` is None."""
        row = {name: facts.get(name) for name in self.names}
        row["cut"] = facts.get("cut") or []
        return row

    def parquet_schema(self, arrow: Any, request: Mapping[str, Any]) -> Any:  # noqa: ANN401 - no types
        """Return the schema; what the answers were asked with is in its metadata."""
        vectors = set(map(vector_column, self.embedded))

        def kind(name: str) -> Any:  # noqa: ANN401
            if name in _COUNTS:
                return arrow.int64()
            if name in vectors:
                return arrow.list_(arrow.float32())
            return arrow.list_(arrow.string()) if name == "cut" else arrow.string()

        fields = [(name, kind(name)) for name in self.names]
        return arrow.schema(fields, metadata={"smallsight": json.dumps(request, sort_keys=True)})

    def _data_of(self, name: str) -> tuple[str, ...]:
        return (data_column(name),) if name in self.tasks else ()


def data_column(prompt: str) -> str:
    """Return the name of the column with the data of an answer, as JSON."""
    return f"{prompt}_data"


def vector_column(name: str) -> str:
    """Return the name of the column with the vectors of another."""
    return f"{name}_embedding"


def parse_prompts(given: list[str]) -> dict[str, str | None]:
    """Return each prompt by its column; ``NAME=TEXT`` names it. Raises SettingsError."""
    prompts: dict[str, str | None] = {}
    for one in given:
        found = _NAMED.fullmatch(one)
        name, text = (found[1], found[2]) if found else (CAPTION, one)
        if name in prompts:
            raise SettingsError(
                f"Two prompts have the column {name!r}.", hint="name each: --prompt colours='Which colours?'"
            )
        if not text.strip():
            raise SettingsError(f"The prompt of {name!r} is empty.", hint="write a question after the =.")
        prompts[name] = text
    return prompts or {CAPTION: None}


def check_columns(columns: CaptionColumns) -> None:
    """Raise SettingsError for columns that share a name, and for vectors of what is no column."""
    for name in columns.embedded:
        if name not in columns.prompts and not (name == TEXT and columns.reads_text):
            raise SettingsError(
                f"--embed names no column of texts: {name!r}.",
                hint=f"there are {', '.join(columns.prompts)}{', text' if columns.reads_text else ''}.",
            )
    names = [*columns.names, *(() if columns.reads_text else (TEXT,))]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SettingsError(f"Two columns would be called {twice!r}.", hint="give the prompt another name.")

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from smallsight.library.exporting.record import ExportedFile, ExportedTag, PictureRecord, WordsBy, as_data
from smallsight.library.exporting.record_file import CSV_COLUMNS, CsvWriter, joined

RECORD = PictureRecord(
    files=(ExportedFile(Path("/p"), "a/b.png"), ExportedFile(Path("/p"), "c;d.png")),
    size_bytes=3,
    text="READ",
    text_by="machine",
    description="mine",
    description_by="human",
    tags=(ExportedTag("cat", "human"), ExportedTag("sofa", "machine")),
)


def written(record: PictureRecord) -> dict[str, str]:
    file = io.StringIO(newline="")
    writer = CsvWriter(file)
    writer.write(record)
    assert file.getvalue().startswith("\ufeffpath,")
    assert file.getvalue().endswith("\r\n")
    (row,) = csv.DictReader(io.StringIO(file.getvalue().removeprefix("\ufeff"), newline=""))
    assert tuple(row) == CSV_COLUMNS
    return row


def test_a_row_holds_lists_in_one_cell():
    row = written(RECORD)
    assert (row["path"], row["other_paths"]) == ("/p/a/b.png", r"/p/c\;d.png")
    assert (row["tags"], row["machine_tags"]) == ("cat;sofa", "sofa")
    assert (row["sha256"], row["size_bytes"]) == ("", "3")


@pytest.mark.parametrize(
    "values", [[], ["a"], ["a;b", "c\\"], ["\\;", ";", "\\\\"], ["a", "b", "c"]], ids=range(5)
)
def test_a_list_can_be_split_again(values: list[str]):
    cells = re.findall(r"(?:\\.|[^;\\])+", joined(values), re.DOTALL)
    assert [re.sub(r"\\(.)", r"\1", cell) for cell in cells] == values


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "'=1", "plain", 'a "b", c\nd', "-5 °C"], ids=range(9)
)
def test_a_text_that_begins_like_a_formula_is_none_and_can_be_restored(text: str):
    cell = written(replace(RECORD, description=text))["description"]
    assert cell[0] not in "=+-@\t"
    assert cell.removeprefix("'") == text


def test_control_characters_are_dropped():
    assert written(replace(RECORD, text="a\x1b[31mb\r\nc\x9bd\x00"))["text"] == "a[31mb\ncd"


def test_words_are_chosen_by_their_source():
    human, model = (as_data(RECORD.words_by(by)) for by in (WordsBy.HUMAN, WordsBy.MODEL))
    assert (human["text"], human["description"], human["tags"]) == (
        None,
        "mine",
        [{"name": "cat", "by": "human", "origin": None}],
    )
    assert (model["text"], model["description"]) == ("READ", None)
    assert model["tags"] == [{"name": "sofa", "by": "machine", "origin": None}]
    assert RECORD.words_by(WordsBy.ALL) is RECORD

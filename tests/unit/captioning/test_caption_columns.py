from __future__ import annotations

import pytest

from smallsight.captioning.caption_columns import CaptionColumns, check_columns, parse_prompts
from smallsight.errors import SettingsError


def test_prompts_name_their_columns():
    assert parse_prompts([]) == {"caption": None}
    assert parse_prompts(["What is 1+1=2?", "colours=Which = colours?"]) == {
        "caption": "What is 1+1=2?",
        "colours": "Which = colours?",
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["What?", "Who?"], "Two prompts have the column 'caption'"),
        (["a=x", "a=y"], "Two prompts have the column 'a'"),
        (["a= "], "The prompt of 'a' is empty"),
    ],
)
def test_prompts_that_cannot_be_columns_are_refused(given: list[str], words: str):
    with pytest.raises(SettingsError, match=words):
        parse_prompts(given)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (CaptionColumns(("sha256",)), "'sha256'"),
        (CaptionColumns(("text",)), "'text'"),
        (CaptionColumns(("a", "a_embedding"), embedded=("a",)), "'a_embedding'"),
        (CaptionColumns(("a", "a_data"), frozenset({"a"})), "'a_data'"),
        (CaptionColumns(("a",), embedded=("b",)), "--embed names no column of texts: 'b'"),
        (CaptionColumns(("a",), embedded=("text",)), "--embed names no column of texts: 'text'"),
    ],
)
def test_columns_that_clash_are_refused(columns: CaptionColumns, words: str):
    with pytest.raises(SettingsError, match=words):
        check_columns(columns)


def test_a_row_has_every_column_in_order():
    columns = CaptionColumns(("a", "b"), frozenset({"b"}), reads_text=True, embedded=("a", "text"))
    check_columns(columns)
    row = columns.row({"key": "x", "b": "words", "path": "not a column"})
    assert tuple(row) == columns.names
    assert columns.names[9:] == (
        *("a", "b", "b_data", "text", "a_embedding", "text_embedding", "cut", "error_code", "error"),
    )
    assert (row["key"], row["b"], row["a"], row["cut"]) == ("x", "words", None, [])

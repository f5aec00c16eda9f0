from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from smallsight.captioning.given_captions import AskedRun, BadRow, caption_of
from smallsight.library.describing import DescribeOptions, imported_key
from smallsight.library.importing import ImportedDescription

HASH = "ab" * 32
ROW = {"sha256": HASH, "model": "tiny", "caption": " a cat\n", "error": None}
REQUEST = {
    "model": "tiny",
    "precision": "int8",
    "prompts": {"caption": "What is it?"},
    "detail": "auto",
    "max_tokens": 96,
    "length": None,
    "ocr": None,
    "embed": [],
}


def test_a_row_keeps_model_precision_and_prompt_and_the_key_of_its_request():
    found = caption_of(ROW, "caption", AskedRun.parse(json.dumps(REQUEST)), 1000)
    assert isinstance(found, ImportedDescription)
    assert (found.sha256, found.text) == (HASH, "a cat")
    assert (found.maker.model, found.maker.precision, found.maker.prompt) == ("tiny", "int8", "What is it?")
    assert found.key == imported_key("tiny", "int8", DescribeOptions("What is it?", "auto", 96))


def test_the_request_of_described_files_is_understood_too():
    options = DescribeOptions("Which colour?", "high", 30, "short")
    asked = AskedRun.parse({"model": "tiny", "precision": "auto", **asdict(options)})
    found = caption_of({**ROW, "text": "red"}, "text", asked, 1000)
    assert isinstance(found, ImportedDescription)
    assert (found.text, found.maker.precision) == ("red", None)
    assert found.key == imported_key("tiny", "auto", options)


@pytest.mark.parametrize(
    "about", [None, 1, "no JSON", "[1]", {"prompts": 3}, {"prompts": {"caption": 4}}, {"max_tokens": "x"}]
)
def test_a_request_of_another_program_is_unknown_and_the_caption_is_taken(about: object):
    found = caption_of(ROW, "caption", AskedRun.parse(about), 1000)
    assert isinstance(found, ImportedDescription)
    assert (found.maker.precision, found.maker.prompt, found.key) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"error": "It is damaged."}, BadRow.FAILED),
        ({"error_code": "corrupt_picture"}, BadRow.FAILED),
        ({"sha256": None}, BadRow.NO_HASH),
        ({"sha256": f"{HASH} "}, BadRow.NO_HASH),
        ({"sha256": 4}, BadRow.NO_HASH),
        ({"caption": None}, BadRow.NO_CAPTION),
        ({"caption": ["a"]}, BadRow.NO_CAPTION),
        ({"caption": "x" * 1001}, BadRow.TOO_LONG),
        ({"caption": "\ud800"}, BadRow.INVALID_TEXT),
        ({"model": None}, BadRow.NO_MODEL),
        ({"model": "x" * 201}, BadRow.NO_MODEL),
        ({"model": "\ud800"}, BadRow.NO_MODEL),
    ],
)
def test_a_row_without_a_usable_caption_has_one_reason(change: dict[str, object], reason: BadRow):
    assert caption_of({**ROW, **change}, "caption", AskedRun({}), 1000) is reason


def test_a_named_model_is_that_of_rows_without_one():
    found = caption_of({**ROW, "model": None}, "caption", AskedRun({}), 1000, model="other")
    assert isinstance(found, ImportedDescription)
    assert found.maker.model == "other"


def test_hashes_in_capitals_are_the_same():
    found = caption_of({**ROW, "sha256": HASH.upper()}, "caption", AskedRun({}), 1000)
    assert isinstance(found, ImportedDescription)
    assert found.sha256 == HASH


def test_the_column_is_the_caption_or_the_only_prompt():
    asked = AskedRun({"colours": "Which colours?"})
    assert asked.column(["sha256", "caption", "colours"]) == "caption"
    assert asked.column(["sha256", "colours"]) == "colours"
    assert AskedRun({"a": None, "b": None}).column(["a", "b"]) is None

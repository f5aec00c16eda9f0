"""One caption is chosen from the fields of a file, and cameras are not quoted."""

from __future__ import annotations

import json

import pytest

from smallsight.media.metadata.camera_text import is_camera_text
from smallsight.media.metadata.words import (
    FieldRole,
    FileWords,
    MetadataField,
    Sourced,
    choose_words,
    words_from_json,
)


def caption(**texts: str) -> str | None:
    fields = [MetadataField(FieldRole[name.upper()], text, f"test:{name}") for name, text in texts.items()]
    found = choose_words(fields).caption
    return None if found is None else found.text


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"description": "At the lake"}, "At the lake"),
        ({"title": "Lake"}, "Lake"),
        ({"title": "Holiday", "description": "At the lake"}, "Holiday\nAt the lake"),
        ({"title": "the LAKE", "description": "At the lake"}, "At the lake"),
        ({"title": "Lake", "description": "Lake", "comment": "Cold water"}, "Lake\nCold water"),
        ({"comment": "Cold water", "description": "At the lake"}, "At the lake"),
        ({"title": "IMG_2041.JPG", "description": "At the lake"}, "At the lake"),
        ({"description": "OLYMPUS DIGITAL CAMERA         "}, None),
        ({"description": "one\r\ntwo\x00three"}, "one\ntwo"),
        ({"description": "red \x1b[31m"}, "red  [31m"),
        ({}, None),
    ],
    ids=range(11),
)
def test_the_caption_is_chosen_from_the_fields(texts, expected):
    assert caption(**texts) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "SONY DSC",
            "DCIM\\100GOPRO\\GOPR0001.JPG",
            "Screenshot",
            "default",
            "<Untitled>",
            " . ",
            "oplus_1024",
        ),
        *("IMG_20240101_120000", "DSC01234", "Screenshot_2024-01-01-10.png", '{"fnumber":1.8}'),
        "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7",
    ],
)
def test_what_no_person_wrote_is_recognised(text):
    assert is_camera_text(text)


@pytest.mark.parametrize(
    "text",
    ["Anna at 7", "Камера", "My Olympus digital camera on the table", "2019", "❤", "Default judgement", "猫"],
)
def test_what_a_person_may_have_written_is_kept(text):
    assert not is_camera_text(text)


def test_keywords_are_cleaned_counted_and_not_repeated():
    names = ["Rome", " rome ", "two\nlines", "", "x" * 201, *map(str, range(500))]
    words = choose_words(MetadataField(FieldRole.KEYWORD, name, "test:k") for name in names)
    assert [one.text for one in words.keywords[:3]] == ["Rome", "two lines", "0"]
    assert len(words.keywords) == 300


def test_words_survive_json():
    words = FileWords(Sourced("Überfahrt\n猫", "a:b"), (Sourced("море", "c:d"),))
    assert words_from_json(words.to_json().encode()) == words
    assert words_from_json(FileWords().to_json()) == FileWords()


@pytest.mark.parametrize(
    "values",
    [
        *(
            [],
            {},
            {"keywords": 1},
            {"keywords": [["a"]]},
            {"keywords": [["a", 1]]},
            {"keywords": [["a\x1b", "b"]]},
        ),
        {"keywords": [["a", "b"]] * 301},
        {"caption": ["x" * 20_001, "a"], "keywords": []},
        {"caption": ["a", "b\n"], "keywords": []},
    ],
    ids=range(9),
)
def test_other_json_is_refused(values):
    with pytest.raises(ValueError, match=r"\w"):
        words_from_json(json.dumps(values))

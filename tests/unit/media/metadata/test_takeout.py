"""The JSON of Google Takeout, and other JSON."""

from __future__ import annotations

import json

import pytest

from smallsight.media.metadata.fields import FieldRole
from smallsight.media.metadata.takeout import read_takeout

TIME = {"timestamp": "1600000000"}


def texts(values: object) -> list[str]:
    roles = (FieldRole.DESCRIPTION, FieldRole.KEYWORD)
    return [field.text for field in read_takeout(json.dumps(values).encode()) if field.role in roles]


def test_the_description_and_the_people_are_read():
    values = {
        "title": "a.jpg",
        "description": "Am Meer",
        "photoTakenTime": TIME,
        "people": [{"name": "Änne"}],
    }
    assert texts(values) == ["Am Meer", "Änne"]


@pytest.mark.parametrize(
    "values",
    [
        *([], 1, {}, {"title": "a.jpg", "description": "of another program"}),
        {"title": "a.jpg", "photoTakenTime": TIME, "description": 5, "people": [1, {}, {"name": None}]},
        {"title": "a.jpg", "photoTakenTime": TIME, "people": {"name": "x"}},
    ],
    ids=range(6),
)
def test_json_of_another_kind_has_no_words(values):
    assert texts(values) == []


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"\xff\xfe\0", b"{}" * 600_000], ids=range(5))
def test_bytes_that_are_no_json_have_no_words(data):
    assert list(read_takeout(data)) == []

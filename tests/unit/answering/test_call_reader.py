"""The call in an answer that is held to a tool, while the answer arrives."""

from __future__ import annotations

import json

import pytest

from smallsight.answering.call_reader import CallReader, CompactObject
from smallsight.answering.question import Tool, Tools

ONE = Tools((Tool("see"), Tool("now")), name="see")
SEVERAL = Tools((Tool("see"), Tool("now")), "required")


def read(text: str, tools: Tools, num_chars: int) -> tuple[str | None, list[str], bool]:
    """Return the name, the pieces of the arguments, and whether they are whole."""
    reader = CallReader(tools)
    pieces = [reader.push(text[at : at + num_chars]) for at in range(0, len(text), num_chars)]
    return reader.name, [piece for piece in pieces if piece], reader.is_whole


@pytest.mark.parametrize("num_chars", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "tools", "expected"),
    [
        (' { "a" : [ 1, {"b": "x y"} ] }\n', ONE, ("see", '{"a":[1,{"b":"x y"}]}', True)),
        (r'{"a": "say \"}\" \\"}', ONE, ("see", r'{"a":"say \"}\" \\"}', True)),
        ('{"name": "now", "arguments": {"a": {}}}', SEVERAL, ("now", '{"a":{}}', True)),
        ('{"name":"now","arguments":{}} and more', SEVERAL, ("now", "{}", True)),
        ('{"a": "unfinished', ONE, ("see", '{"a":"unfinished', False)),
        ('{"name": "now", "arguments": {"a"', SEVERAL, ("now", '{"a"', False)),
        ('{"name": "now", "argu', SEVERAL, (None, "", False)),
        ('{"arguments": {}, "name": "now"}', SEVERAL, (None, "", False)),
        ("I cannot.", ONE, (None, "", False)),
        ('I cannot. {"a": 1}', ONE, (None, "", False)),
        ('{"a": 1}', Tools((Tool("see"),)), (None, "", False)),
    ],
)
def test_arguments_are_the_same_however_they_arrive(
    text: str, tools: Tools, expected: tuple[str | None, str, bool], num_chars: int
):
    name, pieces, is_whole = read(text, tools, num_chars)
    assert (name, "".join(pieces), is_whole) == expected
    if is_whole:
        json.loads("".join(pieces))


def test_arguments_arrive_before_their_end():
    assert read('{"animal": "owl"}', ONE, 5)[1] == ['{"ani', 'mal":', '"owl', '"}']


def test_a_name_in_json_is_read_as_such():
    tools = Tools((Tool("sé"), Tool("now")), "required")
    assert read(r'{"name": "s\u00e9", "arguments": {}}', tools, 2)[0] == "sé"
    assert read('{"name": "other", "arguments": {}}', tools, 2)[0] is None


def test_what_never_becomes_a_call_is_not_kept_for_ever():
    reader = CallReader(SEVERAL)
    assert not any(reader.push('{"name": "' if index == 0 else "x" * 1000) for index in range(10))
    assert reader.name is None
    assert reader.push('", "arguments": {}}') == ""


def test_nothing_follows_an_object():
    one = CompactObject()
    assert (one.push("{} {}"), one.push("{}"), one.is_complete) == ("{}", "", True)

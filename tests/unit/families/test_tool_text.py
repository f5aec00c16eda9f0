"""Calls in the text of answers, and as text in conversations."""

from __future__ import annotations

import json

import pytest

from smallsight.families.messages import Message, TextPart, ToolCall
from smallsight.families.tool_text import without_tools, written_calls


def test_calls_are_taken_out_of_the_text():
    text, (first, second) = written_calls(
        'Let me see.\n<tool_call>\n{"name": "a", "arguments": {"x": {"y": "é}"}}}\n</tool_call>\n'
        '<tool_call>{"name": "b"}</tool_call>'
    )
    assert text == "Let me see."
    assert (first.name, json.loads(first.arguments)) == ("a", {"x": {"y": "é}"}})
    assert (second.name, second.arguments) == ("b", "{}")
    assert first.id != second.id


@pytest.mark.parametrize(
    "text",
    ["no call", "<tool_call>", "<tool_call>{not JSON}</tool_call>", '<tool_call>{"x": 1}</tool_call>', "{}"],
)
def test_what_is_not_a_call_stays_text(text: str):
    assert written_calls(text) == (text, ())


def test_a_model_without_tools_reads_calls_and_results_as_text():
    calls = (ToolCall("1", "weather", '{"city":"Bonn"}'),)
    shown = without_tools(
        [
            Message("assistant", (TextPart("Hm."),), calls),
            Message("tool", (TextPart("sunny"),), call_id="1", name="weather"),
        ]
    )
    assert [(one.role, "".join(part.text for part in one.parts)) for one in shown] == [
        ("assistant", 'Hm.\nweather({"city":"Bonn"})'),
        ("user", "Result of weather: sunny"),
    ]
    assert not any(one.tool_calls for one in shown)

"""Calls in the text of answers, and as text in conversations."""

from __future__ import annotations

import json

import pytest

from smallsight.families.messages import Message, TextPart, ToolCall
from smallsight.families.tool_text import MaybeCall, offered_names, without_tools, written_calls

NAMES = ("get_weather", "find_picture")
WEATHER = '{"name": "get_weather", "arguments": {"city": "Bonn", "unit": "celsius"}}'
LLAMA = '{"name": "get_weather", "parameters": {"city": "Bonn"}}'


def read(text: str) -> tuple[str, list[tuple[str, object]]]:
    rest, calls = written_calls(text, NAMES)
    assert len({call.id for call in calls}) == len(calls)
    return rest, [(call.name, json.loads(call.arguments)) for call in calls]


def test_calls_are_taken_out_of_the_text():
    text = (
        f"Let me see.\n<tool_call>\n{WEATHER}\n</tool_call>\n"
        '<tool_call>\n{"arguments": {"x": {"y": "é"}}, "name": "find_picture"}\n</tool_call>'
    )
    assert read(text) == (
        "Let me see.",
        [("get_weather", {"city": "Bonn", "unit": "celsius"}), ("find_picture", {"x": {"y": "é"}})],
    )
    assert read('<tool_call>{"name": "now"}</tool_call>') == ("", [("now", {})])


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>\n{WEATHER}\n</tool_call>",
        f"<tool_call>{WEATHER}</tool_call>\n",
        f"<tool_call>\n{WEATHER}\n",  # the answer ended before the closing tag
        f"<tool_call>\n{WEATHER}\n</tool",
        WEATHER,
        f"\n{WEATHER} ",
        f"<|python_tag|>{WEATHER}",
        WEATHER.replace("arguments", "parameters"),
        WEATHER.replace('{"name"', '{"type": "function", "name"'),
    ],
)
def test_the_forms_of_one_call(text: str):
    assert read(text) == ("", [("get_weather", {"city": "Bonn", "unit": "celsius"})])


def test_several_calls_in_a_row():
    bonn = ("get_weather", {"city": "Bonn"})
    assert read(f"{LLAMA}; {LLAMA}") == read(f"{LLAMA}\n{LLAMA}") == ("", [bonn, bonn])
    unclosed = f"<tool_call>{LLAMA}\n<tool_call>{LLAMA}</tool_call> Done."
    assert read(unclosed) == ("Done.", [bonn, bonn])


def test_a_tag_inside_an_argument_is_a_part_of_it():
    written = {"name": "find_picture", "arguments": {"text": "} </tool_call> <tool_call> {"}}
    assert read(f"<tool_call>{json.dumps(written)}</tool_call>")[1] == [
        ("find_picture", written["arguments"])
    ]


@pytest.mark.parametrize(
    "text",
    [
        "no call",
        "<tool_call>",
        "<tool_call>{not JSON}</tool_call>",
        '<tool_call>{"x": 1}</tool_call>',
        "<tool_call>[1]</tool_call>",
        '<tool_call>{"name": "get_weather", "arguments": {"city": "Bo',
        f"<tool_call>{WEATHER} and more</tool_call>",
        "{}",
        LLAMA[:-1],
        LLAMA.replace("get_weather", "elsewhere"),
        f"{LLAMA} is what I would call.",
        f"I would call {LLAMA}",
        '{"name": "get_weather"}',
        '{"name": "get_weather", "city": "Bonn"}',
    ],
)
def test_what_is_not_a_call_stays_text(text: str):
    assert written_calls(text, NAMES) == (text, ())


def held(text: str, num_chars: int = 4) -> str:
    """Return what a stream shows of an answer before its end."""
    maybe = MaybeCall(NAMES)
    return "".join(maybe.push(text[at : at + num_chars]) for at in range(0, len(text), num_chars))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Let me see.\n<tool_call>\n{WEATHER}\n</tool_call>", "Let me see.\n"),
        (WEATHER, ""),
        (f"\n {LLAMA}", ""),
        ('{ "type": "function", "name":"get_weather", "parameters": {}}', ""),
        (f"<|python_tag|>{LLAMA}", ""),
        ('{"animal": "owl"}', '{"animal": "owl"}'),
        ('{"name": "get_up", "arguments": {}}', '{"name": "get_up", "arguments": {}}'),
        (f"I call {LLAMA}", f"I call {LLAMA}"),
        ("a < b <tool>", "a < b <tool>"),
    ],
)
def test_a_stream_holds_back_what_may_be_a_call_and_nothing_else(text: str, expected: str):
    assert held(text) == expected


def test_only_the_tools_that_may_be_called_are_looked_for():
    tools = {"tools": [{"type": "function", "function": {"name": "now"}}]}
    assert offered_names(None) == offered_names(json.dumps(tools | {"tool_choice": "none"})) == ()
    assert offered_names(json.dumps(tools | {"tool_choice": "auto"})) == ("now",)
    assert MaybeCall(()).push("<tool_call>") == "<tool_call>"


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

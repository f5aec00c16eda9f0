"""Answers as they arrive: text, and calls of tools."""

from __future__ import annotations

import pytest

from smallsight.answering.answer_stream import (
    AnswerEvent,
    AnswerStream,
    CallEnd,
    CallStart,
    NewArguments,
    NewText,
)
from smallsight.answering.question import Tool, ToolCall, Tools
from smallsight.answering.tool_calls import answer_parts
from smallsight.model.answer import Answer, Timings, Usage

SEE, NOW = Tool("see"), Tool("now")
OFFERED = Tools((SEE, NOW))
NAMED = Tools((SEE, NOW), name="see")
ANY = Tools((SEE, NOW), "required")


def arrive(
    text: str, tools: Tools | None, *, calls: tuple[ToolCall, ...] = (), num_chars: int = 3
) -> tuple[list[AnswerEvent], AnswerStream, Answer]:
    """Let a text arrive in pieces; ``calls`` are those that the model found in it."""
    stream = AnswerStream(tools)
    events = [
        event for at in range(0, len(text), num_chars) for event in stream.push(text[at : at + num_chars])
    ]
    shown = text.partition("<tool_call>")[0] if calls else text
    answer = Answer(shown.strip(), (), "stop", Usage(0, 0, 0), Timings(), "m", tool_calls=calls)
    return [*events, *stream.end(answer)], stream, answer


def shown(events: list[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, NewText))


@pytest.mark.parametrize(
    ("text", "tools"),
    [
        (' {"a": "owl", "b": [1, 2]}', NAMED),
        ('{"name": "now", "arguments": {"zone": "U TC"}}', ANY),
        ('{"name": "now", "arguments": {"zone": "U', ANY),
    ],
)
def test_a_forced_call_arrives_in_pieces_that_are_its_arguments(text: str, tools: Tools):
    events, stream, answer = arrive(text, tools)
    first, *pieces, last = events
    assert isinstance(first, CallStart)
    assert first.call.arguments == ""
    assert len(pieces) > 2
    assert all(isinstance(one, NewArguments) for one in pieces)
    assert last == CallEnd(0, stream.calls[0])
    _, (whole,) = answer_parts(answer, tools)
    assert "".join(one.text for one in pieces) == stream.calls[0].arguments == whole.arguments
    assert (stream.calls[0].id, stream.calls[0].name) == (first.call.id, whole.name)


def test_a_call_in_another_form_is_passed_on_at_its_end():
    events, stream, _ = arrive('{"arguments": {"a": 1}, "name": "now"}', ANY)
    (call,) = stream.calls
    assert events[1:] == [NewArguments(0, '{"a":1}'), CallEnd(0, call)]
    assert (call.name, call.arguments) == ("now", '{"a":1}')


def test_calls_that_the_model_decides_on_follow_its_text():
    calls = (ToolCall("1", "see", "{}"), ToolCall("2", "now", '{"a": 1}'))
    events, stream, _ = arrive("Let me see. <tool_call>{}</tool_call>", OFFERED, calls=calls)
    assert shown(events) == "Let me see. "
    assert [type(one) for one in events[-6:]] == [CallStart, NewArguments, CallEnd] * 2
    assert stream.calls == calls


@pytest.mark.parametrize("tools", [None, OFFERED, NAMED, ANY, Tools((SEE,), "none")])
@pytest.mark.parametrize("text", ["An owl.", "a <b <tool_calls", "<tool_call> is a tag", '{"name": "other"}'])
def test_what_is_not_a_call_is_text_in_the_end(text: str, tools: Tools | None):
    if tools is not NAMED or not text.startswith("{"):
        assert shown(arrive("  " + text + " ", tools)[0]).strip() == text


def test_text_that_may_be_a_call_is_held_back():
    stream = AnswerStream(OFFERED)
    pieces = [shown(list(stream.push(one))) for one in ("a <", "b <tool", "_c", "all", "> x <tool_call> y")]
    assert pieces == ["a ", "<b ", "", "", ""]
    assert stream.is_holding
    assert AnswerStream(NAMED).is_holding
    assert not AnswerStream(None).is_holding
    assert shown(list(AnswerStream(Tools((SEE,), "none")).push("<tool_call>"))) == "<tool_call>"

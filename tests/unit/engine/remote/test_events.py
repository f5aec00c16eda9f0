"""What other servers answer, well and badly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsight.engine.remote import events
from smallsight.engine.remote.events import AnswerMetadata, error_text, text_of_object, texts_of_events
from smallsight.errors import RemoteModelError

CHUNKS = [
    {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
    {"choices": [{"delta": {"content": "Two \u2028 c"}}]},
    {"choices": [{"delta": {"content": "ats"}}], "usage": None},
    {"choices": [{"delta": {}, "finish_reason": "length"}]},
    {
        "choices": [],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 4,
            "prompt_tokens_details": {"image_tokens": 5, "cached_tokens": 2},
        },
    },
]


def event_bytes(*chunks: object) -> bytes:
    head = b": a comment\nevent: message\nid: 3\n\n"
    return head + b"".join(b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in chunks)


@given(st.integers(1, 40))
def test_text_and_cost_however_it_is_cut(size: int):
    data, metadata = event_bytes(*CHUNKS) + b"data: [DONE]\n\n", AnswerMetadata()
    pieces = [data[begin : begin + size] for begin in range(0, len(data), size)]
    assert list(texts_of_events(pieces, metadata)) == ["Two \u2028 c", "ats"]
    assert metadata == AnswerMetadata("length", 9, 4, 5, 2)


def test_a_server_that_does_not_stream():
    metadata = AnswerMetadata()
    answer = {"choices": [{"message": {"content": "Cats"}, "finish_reason": "stop"}], "usage": {}}
    assert list(text_of_object(json.dumps(answer).encode(), metadata)) == ["Cats"]
    assert metadata.finish_reason == "stop"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (event_bytes(CHUNKS[1]), "ended its answer early"),
        (b"data: {\n\n", "not in OpenAI"),
        (b"data: []\n\n", "not in OpenAI"),
        (event_bytes({"choices": [3]}), "not in OpenAI"),
        (
            event_bytes(CHUNKS[1], {"error": {"message": "no memory\n!"}}),
            "failed during its answer.*no memory !",
        ),
        (b"data: " + b"[" * 200_000 + b"\n\n", "not in OpenAI"),
        (b"x" * 5_000_000, "is too long"),
    ],
    ids=range(7),
)
def test_nonsense_is_a_sentence(data: bytes, message: str):
    with pytest.raises(RemoteModelError, match=message):
        list(texts_of_events([data], AnswerMetadata()))


def test_an_endless_answer_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "MAX_ANSWER_BYTES", 10_000)
    with pytest.raises(RemoteModelError, match="is too long"):
        list(texts_of_events((event_bytes(CHUNKS[1]) for _ in range(1000)), AnswerMetadata()))


def test_what_an_error_says():
    assert error_text({"error": {"message": "No.\x1b[0m"}}) == "No. [0m"
    assert error_text({"error": "plain."}) == "plain"
    for nothing in (None, [], {}, {"error": {"message": 3}}):
        assert error_text(nothing) == "no reason given"


def test_calls_of_tools_arrive_in_parts_or_whole():
    def part(index: int, **function: str) -> dict[str, object]:
        given = {"index": index, "function": function, "id": f"id{index}" if "name" in function else None}
        return {"choices": [{"delta": {"tool_calls": [given]}}]}

    end = {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}
    metadata = AnswerMetadata()
    parts = [
        part(0, name="a", arguments=""),
        part(0, arguments='{"x"'),
        part(1, name="b"),
        part(0, arguments=":1}"),
    ]
    assert list(texts_of_events([event_bytes(*parts, end)], metadata)) == []
    assert [(one.id, one.name, one.arguments) for one in metadata.called()] == [
        ("id0", "a", '{"x":1}'),
        ("id1", "b", "{}"),
    ]
    whole = AnswerMetadata()
    message = {"content": None, "tool_calls": [{"function": {"name": "a", "arguments": "{}"}}]}
    assert list(text_of_object(json.dumps({"choices": [{"message": message}]}).encode(), whole)) == []
    (call,) = whole.called()
    assert call.name == "a"
    assert call.id.startswith("call_")
    many = [part(index, name="a") for index in range(200)]
    with pytest.raises(RemoteModelError, match="too many"):
        list(texts_of_events([event_bytes(*many)], AnswerMetadata()))

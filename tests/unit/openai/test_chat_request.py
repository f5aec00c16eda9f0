"""What requests mean, and which are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from smallsight.answering.question import PictureLink, ToolCall, ToolResult, Turn
from smallsight.errors import BadRequestError
from smallsight.http.error_handlers import invalid_request
from smallsight.openai.chat_request import ChatRequest
from smallsight.openai.responses_request import ResponsesRequest

HELLO = [{"role": "user", "content": "hello"}]


def chat(**body: object) -> ChatRequest:
    return ChatRequest.model_validate({"messages": HELLO, **body})


def test_a_conversation_in_our_words():
    image = {"type": "image_url", "image_url": {"url": "data:,a", "detail": "low"}}
    asked = chat(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [image, {"type": "text", "text": "What?"}], "name": "jo"},
            {"role": "assistant", "content": None},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        ]
    ).question()
    assert asked.turns == (
        Turn("system", ("Be brief.",)),
        Turn("user", (PictureLink("data:,a", "low"), "What?")),
        Turn("assistant", ("",)),
        Turn("assistant", ("No.",)),
    )
    assert asked.links == [PictureLink("data:,a", "low")]


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ([], "auto"),
        (["low"], "low"),
        (["low", None], "auto"),
        (["auto", "high"], "high"),
        (["original"], "high"),
    ],
)
def test_the_finest_detail_goes_for_all(details: list[str | None], expected: str):
    parts = [{"type": "image_url", "image_url": {"url": "data:,a", "detail": one}} for one in details]
    parts.append({"type": "text", "text": "x"})
    assert chat(messages=[{"role": "user", "content": parts}]).question().detail == expected


def test_minus_one_is_no_limit_and_off():
    assert chat(max_tokens=-1).question().max_tokens is None
    assert chat(max_completion_tokens=-1, max_tokens=5).question().max_tokens == 5
    assert "top_k" not in chat(top_k=-1).question().sampling
    assert (
        ResponsesRequest.model_validate({"input": "a", "max_output_tokens": -1}).question().max_tokens is None
    )
    for body in ({"max_tokens": -2}, {"max_tokens": 0}, {"top_k": -2}, {"n": -1}, {"max_tokens": -1.5}):
        with pytest.raises(ValidationError):
            chat(**body)


def test_content_without_parts_is_empty_text():
    assert chat(messages=[{"role": "user", "content": []}]).question().turns == (Turn("user", ("",)),)
    empty = {"input": [{"role": "user", "content": []}]}
    assert ResponsesRequest.model_validate(empty).question().turns == (Turn("user", ("",)),)


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (
            {"type": "input_audio", "input_audio": {}},
            "messages.0.content.1.type: 'input_audio' is not known here; text, image_url, video_url, refusal",
        ),
        ({"type": "image", "source": {}}, "messages.0.content.1.type: 'image' is not known here; text,"),
        ({"type": "a" * 9000}, "messages.0.content.1.type: 'aaa"),
        ({"text": "a"}, "messages.0.content.1 has no type."),
        ("a", "messages.0.content.1: Input should be an object."),
        ({"type": "text", "text": 5}, "messages.0.content.1.text: Input should be a valid string."),
        ({"type": "image_url", "image_url": {}}, "messages.0.content.1.image_url.url: Field required."),
        (
            {"type": "image_url", "image_url": 5},
            "messages.0.content.1.image_url: Input should be an object or a valid string.",
        ),
    ],
    ids=range(8),
)
def test_an_error_names_the_part_and_its_type(part: object, told: str):
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, part]}]}
    with pytest.raises(ValidationError) as caught:
        chat(**body)
    error = invalid_request(caught.value.errors(), body)
    assert error.message.startswith(told)
    assert len(error.message) < 300
    assert error.param == told.partition(" ")[0].rstrip(":")


def test_the_newer_name_of_the_longest_answer_comes_first():
    assert chat(max_tokens=5, max_completion_tokens=7).question().max_tokens == 7
    assert chat(max_tokens=5).question().max_tokens == 5
    assert chat().question().max_tokens is None


def test_what_is_said_about_tokens():
    asked = chat(stop="x", seed=-1, top_p=0.5, logprobs=True, top_logprobs=2, temperature=0).question()
    assert asked.temperature == 0
    assert asked.sampling == {"stop": ["x"], "seed": 2**63 - 1, "top_p": 0.5, "num_logprobs": 2}
    assert chat().question().sampling == {}
    assert chat(logprobs=True).question().sampling == {"num_logprobs": 0}
    assert chat(logprobs=False, stop=[]).question().sampling == {}


def test_penalties_and_biases():
    asked = chat(frequency_penalty=-2, presence_penalty=0.5, logit_bias={"7": -100, "300": 1.5}).question()
    assert asked.sampling == {
        "frequency_penalty": -2,
        "presence_penalty": 0.5,
        "logit_bias": ((7, -100), (300, 1.5)),
    }
    for name in ("x", "-1", "1.0", "٣", "", "9" * 10):
        with pytest.raises(BadRequestError, match="token ids"):
            chat(logit_bias={name: 1}).question()


@pytest.mark.parametrize(
    "body",
    [
        {"tools": [], "tool_choice": "auto"},
        {"tools": [{"type": "function"}], "tool_choice": "none"},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}},
        {"response_format": {"type": "text"}},
        {"modalities": ["text"]},
        {"unknown": {"a": [1]}},
    ],
    ids=str,
)
def test_what_asks_for_nothing_special_is_fine(body: dict[str, object]):
    chat(**body).question()


@pytest.mark.parametrize(
    "body",
    [
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"temperature": True},
        {"logit_bias": {"5": 101}},
        {"logit_bias": {"5": "1"}},
        {"frequency_penalty": 2.1},
        {"top_p": 1.01},
        {"n": 0},
        {"n": 9},
        {"n": 1.5},
        {"seed": 2**63},
        {"stream": "yes"},
        {"model": 5},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 5}}]}]},
        {"messages": [{"role": "user", "content": {"type": "text", "text": "x"}}]},
    ],
    ids=str,
)
def test_wrong_types_and_bounds(body: dict[str, object]):
    with pytest.raises(ValidationError):
        chat(**body)


def test_a_response_in_our_words():
    asked = ResponsesRequest.model_validate(
        {
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": [{"type": "input_image", "image_url": "data:,a"}]},
                {"role": "assistant", "type": "message", "content": [{"type": "output_text", "text": "A."}]},
                {"role": "user", "content": "And?"},
            ],
            "max_output_tokens": 9,
        }
    ).question()
    assert [turn.role for turn in asked.turns] == ["system", "user", "assistant", "user"]
    assert asked.turns[1].parts == (PictureLink("data:,a", "auto"),)
    assert asked.max_tokens == 9


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"conversation": "c"}, "conversation"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "mcp"}], "tool_choice": "required"}, "tool_choice"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input.0.content.0",
        ),
    ],
    ids=str,
)
def test_what_responses_cannot_do(body: dict[str, object], param: str):
    with pytest.raises(BadRequestError) as caught:
        ResponsesRequest.model_validate({"input": "hello", **body}).question()
    assert caught.value.param == param


CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bonn"}'}}
WEATHER = {"name": "weather", "parameters": {"type": "object"}}


def test_calls_and_results_are_parts_of_the_conversation():
    asked = chat(
        messages=[
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
            {"role": "assistant", "content": "Hm.", "function_call": {"name": "now", "arguments": {"a": 1}}},
            {"role": "function", "name": "now", "content": "noon"},
        ]
    ).question()
    assert asked.turns[1:] == (
        Turn("assistant", (ToolCall("c1", "weather", '{"city": "Bonn"}'),)),
        Turn("tool", (ToolResult("c1", "sunny"),)),
        Turn("assistant", ("Hm.", ToolCall("now", "now", '{"a":1}'))),
        Turn("tool", (ToolResult("now", "noon"),)),
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("auto", None)),
        ({"tool_choice": "auto"}, ("auto", None)),
        ({"tool_choice": {"type": "none"}}, ("none", None)),
        ({"tool_choice": "any"}, ("required", None)),
        ({"tool_choice": {"type": "function", "function": {"name": "weather"}}}, ("auto", "weather")),
        ({"tool_choice": {"type": "function", "name": "weather"}}, ("auto", "weather")),
    ],
    ids=str,
)
def test_choices_of_a_tool(body: dict[str, object], expected: tuple[str, str | None]):
    tools = (
        chat(tools=[{"type": "function", "function": WEATHER}, {"type": "web_search"}], **body)
        .question()
        .tools
    )
    assert tools is not None
    assert (tools.choice, tools.name) == expected
    assert [one.name for one in tools.offered] == ["weather"]


def test_a_forced_tool_comes_before_the_format_of_the_answer():
    form = {"type": "json_object"}
    forced = chat(functions=[WEATHER], function_call={"name": "weather"}, response_format=form)
    assert forced.question().sampling == {"json_schema": '{"type": "object"}'}
    assert forced.is_legacy
    assert chat(tools=[], response_format=form).question().sampling == {"json_schema": '{"type":"object"}'}


@pytest.mark.parametrize(
    "choice",
    [
        5,
        [],
        {},
        {"type": ["auto"]},
        {"type": {}},
        {"function": 5},
        {"type": "allowed_tools"},
        "weather",
        {"name": []},
        {"type": "allowed_tools", "allowed_tools": {"mode": [], "tools": 5}},
    ],
    ids=str,
)
def test_a_choice_that_is_none_of_these_is_refused(choice: object):
    with pytest.raises(BadRequestError) as caught:
        chat(tools=[{"type": "function", "function": WEATHER}], tool_choice=choice).question()
    assert caught.value.param is not None
    assert caught.value.param.partition(".")[0] == "tool_choice"


@pytest.mark.parametrize(
    "given", [{"json": 5}, {"choice": 5}, {"regex": 5}, {"a": {}}, {"json": {}, "regex": "a"}]
)
def test_structured_outputs_that_cannot_be_honoured_are_refused(given: dict[str, object]):
    with pytest.raises(BadRequestError) as caught:
        chat(structured_outputs=given).question()
    assert caught.value.param == "structured_outputs"

"""What Ollama's requests mean, and which are refused."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from smallsight.answering.question import PictureLink, ToolCall, ToolResult, Turn
from smallsight.errors import BadRequestError
from smallsight.ollama.chat_body import ChatBody, GenerateBody, model_name

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
OTHER_TOOL = {"type": "function", "function": {"name": "hear"}}


def chat(**body: object) -> ChatBody:
    return ChatBody.model_validate({"messages": [{"role": "user", "content": "hello"}], **body})


def generate(**body: object) -> GenerateBody:
    return GenerateBody.model_validate({"prompt": "hello", **body})


def test_a_conversation_in_our_words():
    call = {"function": {"name": "look", "arguments": {"at": "owl"}}}
    asked = chat(
        model="Smallsight-tiny:LATEST",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What?", "images": ["aGk=", "data:image/png;base64,aGk="]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", **call}]},
            {"role": "tool", "content": "an owl", "tool_call_id": "c1"},
            {"role": "user", "images": ["aGk="]},
        ],
    ).question()
    assert asked.model == "Smallsight-tiny"
    assert asked.turns == (
        Turn("system", ("Be brief.",)),
        Turn("user", (PictureLink("data:;base64,aGk="), PictureLink("data:image/png;base64,aGk="), "What?")),
        Turn("assistant", (ToolCall("c1", "look", '{"at": "owl"}'),)),
        Turn("tool", (ToolResult("c1", "an owl"),)),
        Turn("user", (PictureLink("data:;base64,aGk="),)),
    )


def test_options_in_our_words():
    options = {
        "num_predict": 7,
        "temperature": 0,
        "top_k": -1,
        "top_p": 0.5,
        "seed": -3,
        "stop": ["a", ""],
        "repeat_penalty": 1.1,
        "presence_penalty": 0.3,
        "num_ctx": 4096.0,
        "mirostat": 2,
        "use_mmap": True,
    }
    asked = chat(options=options).question()
    assert (asked.max_tokens, asked.temperature) == (7, 0)
    assert asked.sampling == {
        "top_k": 0,
        "top_p": 0.5,
        "seed": 2**63 - 3,
        "stop": ["a"],
        "repetition_penalty": 1.1,
        "presence_penalty": 0.3,
    }


@pytest.mark.parametrize(("given", "expected"), [(-1, 131_072), (-2, 131_072), (0, 131_072), (9.0, 9)])
def test_the_longest_answer(given: float, expected: int):
    assert generate(options={"num_predict": given}).question().max_tokens == expected
    assert generate().question().max_tokens is None


@pytest.mark.parametrize("form", [None, ""])
def test_no_format_is_text(form: object):
    assert "json_schema" not in chat(format=form).question().sampling


def test_a_format_is_json_or_a_schema():
    assert chat(format="json").question().sampling["json_schema"] == '{"type":"object"}'
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert json.loads(generate(format=schema).question().sampling["json_schema"]) == schema
    for form in ("yaml", 3, ["json"], True):
        with pytest.raises(BadRequestError, match="format is neither"):
            chat(format=form).question()


def test_tools_are_offered_and_may_be_forced():
    offered = chat(tools=[TOOL]).question()
    assert offered.tools is not None
    assert [tool.name for tool in offered.tools.forced] == []
    assert "json_schema" not in offered.sampling
    forced = chat(tools=[TOOL, OTHER_TOOL], tool_choice="required").question()
    assert "hear" in forced.sampling["json_schema"]
    for choice in ({"function": {"name": "look"}}, {"type": "function", "name": "look"}):
        named = chat(tools=[TOOL, OTHER_TOOL], tool_choice=choice).question()
        assert [tool.name for tool in named.tools.forced] == ["look"]
    assert chat(tools=[TOOL], tool_choice="none").question().sampling == {}
    assert chat(tools=[]).question().tools is None
    for wrong in (
        {"function": {"name": "smell"}},
        {"name": "smell"},
        {"name": ["look"]},
        {"function": None},
        {},
    ):
        with pytest.raises(BadRequestError, match="tool_choice"):
            chat(tools=[TOOL], tool_choice=wrong).question()


def test_a_prompt_with_pictures_and_a_system_message():
    asked = generate(system="Be brief.", images=["aGk="], suffix="", template=" ", raw=False, context=[])
    assert asked.question().turns == (
        Turn("system", ("Be brief.",)),
        Turn("user", (PictureLink("data:;base64,aGk="), "hello")),
    )


A, B = PictureLink("data:;base64,QQ=="), PictureLink("data:;base64,Qg==")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Describe both.", (A, B, "Describe both.")),
        ("First:\n[img]\nThen:\n[img]", ("First:\n", A, "\nThen:\n", B)),
        ("[img] and the other", (B, A, " and the other")),
        ("[img][img]What does [img] mean?", (A, B, "What does [img] mean?")),
        ("", (A, B)),
    ],
)
def test_a_picture_is_where_the_text_has_its_place(text: str, parts: tuple[object, ...]):
    images = ["QQ==", "Qg=="]
    asked = chat(messages=[{"role": "user", "content": text, "images": images}])
    assert asked.question().turns == (Turn("user", parts),)
    assert generate(prompt=text, images=images).question().turns == (Turn("user", parts),)


def test_a_place_without_a_picture_is_text():
    assert chat(messages=[{"role": "user", "content": "[img]"}]).question().turns == (
        Turn("user", ("[img]",)),
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [("suffix", "x"), ("template", "{{ .Prompt }}"), ("raw", True), ("context", [1]), ("logprobs", True)],
)
def test_what_would_change_the_answer_is_refused_by_name(field: str, value: object):
    with pytest.raises(BadRequestError, match=f"{field} is not supported"):
        generate(**{field: value}).question()


def test_a_request_may_be_empty():
    assert chat(messages=[]).is_empty
    assert chat(messages=None).is_empty
    assert generate(prompt="").is_empty
    assert not generate(prompt=None, images=["aGk="]).is_empty


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "king", "content": "x"}]},
        {"messages": "x"},
        {"options": {"temperature": "hot"}},
        {"options": {"temperature": -1}},
        {"options": {"num_predict": 10**12}},
        {"options": {"top_p": float("nan")}},
        {"options": {"stop": ["a"] * 17}},
        {"keep_alive": float("nan")},
        {"keep_alive": {}},
        {"model": "a" * 301},
        {"tools": [TOOL] * 129},
    ],
    ids=str,
)
def test_every_number_has_a_bound(body: dict[str, object]):
    with pytest.raises(ValidationError):
        chat(**body)


@pytest.mark.parametrize(
    ("tag", "expected"), [("a:latest", "a"), ("A:LATEST", "A"), (" a ", "a"), ("a:7b", "a:7b"), ("", None)]
)
def test_names_lose_the_tag_that_says_nothing(tag: str, expected: str | None):
    assert model_name(tag) == expected

"""Tools and schemas with the model of the package: the official client and raw requests."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from .serving import Server, about, data_url, running

STICKER = (Path(__file__).parents[2] / "examples" / "stickers" / "sticker_2.png").read_bytes()
ANIMALS = ["owl", "bee", "dog"]
SEEN: dict[str, Any] = {
    "name": "Seen",
    "description": "What the picture shows.",
    "parameters": {
        "type": "object",
        "properties": {"has_text": {"type": "boolean"}, "animal": {"type": "string", "enum": ANIMALS}},
        "required": ["has_text", "animal"],
    },
}
NOW: dict[str, Any] = {"name": "now", "description": "The time."}
TOOLS: list[Any] = [{"type": "function", "function": one} for one in (SEEN, NOW)]
NAMED: Any = {"type": "function", "function": {"name": "Seen"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("serve") / "home", "--model", "Smallsight-tiny") as one:
        yield one


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as one:
        yield one


@pytest.fixture(scope="module")
def near(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose models "afar" and "nobody" are on another one; nothing answers for the second."""
    home = tmp_path_factory.mktemp("near")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        ports = {"afar": server.port, "nobody": unused.getsockname()[1]}
        lines = [
            f'[remotes.{name}]\nbase_url = "http://127.0.0.1:{port}/v1"\nmodel = "Smallsight-tiny"\n'
            'fallback = "Smallsight-tiny"\nretries = 0'
            for name, port in ports.items()
        ]
        (home / "smallsight.toml").write_text("\n".join(lines))
        with running(home) as one:
            yield one


def shown(text: str = "What is this?") -> list[Any]:
    return about(data_url(STICKER), text=text)


def ask(client: openai.OpenAI, **body: Any) -> Any:
    return client.chat.completions.create(model="Smallsight-tiny", **{"messages": shown(), **body})


def test_offered_tools_are_answered_in_text_with_a_line_in_the_log(client: openai.OpenAI, server: Server):
    for choice in ({}, {"tool_choice": "auto"}, {"tool_choice": "none"}):
        (one,) = ask(client, tools=TOOLS, **choice).choices
        assert one.message.tool_calls is None
        assert one.message.content
        assert one.finish_reason == "stop"
    assert "tools_answered_in_text" in server.log.read_text()


def test_a_named_tool_is_called_with_arguments_of_its_schema(client: openai.OpenAI):
    answer = ask(client, tools=TOOLS, tool_choice=NAMED, n=2)
    for one in answer.choices:
        assert one.finish_reason == "tool_calls"
        assert one.message.content is None
        (call,) = one.message.tool_calls
        assert (call.type, call.function.name) == ("function", "Seen")
        arguments = json.loads(call.function.arguments)
        assert arguments.keys() == {"has_text", "animal"}
        assert arguments["animal"] in ANIMALS
    assert len({one.message.tool_calls[0].id for one in answer.choices}) == 2


def test_required_calls_one_of_several_tools(client: openai.OpenAI):
    (call,) = ask(client, tools=TOOLS, tool_choice="required").choices[0].message.tool_calls
    assert call.function.name in ("Seen", "now")
    assert isinstance(json.loads(call.function.arguments), dict)
    allowed: Any = {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "now"}}]},
    }
    (call,) = ask(client, tools=TOOLS, tool_choice=allowed).choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("now", "{}")


def test_a_streamed_call_is_put_together_by_the_client(client: openai.OpenAI):
    with client.chat.completions.stream(
        model="Smallsight-tiny", messages=shown(), tools=TOOLS, tool_choice=NAMED
    ) as stream:
        stream.until_done()
        (one,) = stream.get_final_completion().choices
    assert one.finish_reason == "tool_calls"
    (call,) = one.message.tool_calls
    assert call.function.name == "Seen"
    assert json.loads(call.function.arguments)["animal"] in ANIMALS
    chunks = list(ask(client, tools=TOOLS, tool_choice="required", stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].choices[0].delta.tool_calls[0].index == 0
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def written(chunks: list[Any]) -> tuple[str, list[str], str]:
    """Return the name and the pieces of the arguments of a streamed call, and why it ended."""
    deltas = [one.choices[0].delta for one in chunks]
    first, *rest = [one.tool_calls[0] for one in deltas if one.tool_calls]
    assert (deltas[0].role, deltas[0].content) == ("assistant", None)
    assert (first.index, first.type, bool(first.id), first.function.arguments) == (0, "function", True, "")
    assert {(one.index, one.id, one.function.name) for one in rest} == {(0, None, None)}
    return first.function.name, [one.function.arguments for one in rest], chunks[-1].choices[0].finish_reason


@pytest.mark.parametrize("choice", [NAMED, "required"], ids=["named", "required"])
def test_the_arguments_of_a_call_are_streamed_as_they_are_decoded(client: openai.OpenAI, choice: Any):
    tools = [TOOLS[0], {"type": "function", "function": {**SEEN, "name": "Other"}}]
    body = {"tools": tools, "tool_choice": choice, "messages": shown("What is in the picture?")}
    name, pieces, reason = written(list(ask(client, stream=True, **body)))
    (call,) = ask(client, logprobs=True, **body).choices[0].message.tool_calls  # computed, not remembered
    assert (name, "".join(pieces), reason) == (call.function.name, call.function.arguments, "tool_calls")
    assert len(pieces) > 1


def test_a_call_cut_by_the_clients_limit_is_incomplete_with_its_reason(client: openai.OpenAI):
    body = {"tools": TOOLS, "tool_choice": NAMED, "max_tokens": 3}
    (one,) = ask(client, **body).choices
    assert (one.finish_reason, one.message.content) == ("length", None)
    (call,) = one.message.tool_calls
    assert call.function.arguments.startswith("{")
    _, pieces, reason = written(list(ask(client, stream=True, **body)))
    assert ("".join(pieces), reason) == (call.function.arguments, "length")


def test_ollamas_clients_get_a_call_when_it_is_whole(server: Server):
    body = {"model": "Smallsight-tiny", "messages": [{"role": "user", "content": "What?"}], "tools": TOOLS}
    for more in ({"tool_choice": "required"}, {"tool_choice": NAMED}):
        told = server.http.post("/api/chat", json=body | more).text.splitlines()
        first, *_, last = [json.loads(line) for line in told]
        (call,) = first["message"]["tool_calls"]
        whole = server.http.post("/api/chat", json=body | more | {"stream": False}).json()["message"]
        assert (len(told), last["done"], call["function"]) == (2, True, whole["tool_calls"][0]["function"])
        assert isinstance(call["function"]["arguments"], dict)


def test_the_older_functions_are_called_the_older_way(server: Server):
    body: dict[str, Any] = {"functions": [SEEN, NOW], "function_call": {"name": "now"}}
    (one,) = server.ask(messages=shown(), **body).json()["choices"]
    assert one["finish_reason"] == "function_call"
    assert one["message"]["function_call"] == {"name": "now", "arguments": "{}"}
    text = server.ask(messages=shown(), stream=True, **body).text
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    calls = [one["choices"][0]["delta"].get("function_call") for one in events]
    assert calls[0] == {"name": "now", "arguments": ""}
    assert "".join(one["arguments"] for one in calls if one) == "{}"
    assert events[-1]["choices"][0]["finish_reason"] == "function_call"


def test_a_conversation_with_calls_goes_on(client: openai.OpenAI):
    (one,) = ask(client, tools=TOOLS, tool_choice=NAMED).choices
    call = one.message.tool_calls[0]
    messages = [
        *shown(),
        one.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": [{"type": "text", "text": "an owl"}]},
        {"role": "user", "content": "Describe the picture."},
    ]
    answer = ask(client, messages=messages, tools=TOOLS)
    assert answer.choices[0].message.content


def test_an_object_that_lists_its_properties_is_closed(server: Server):
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": SEEN["parameters"]}}
    (one,) = server.ask(messages=shown(), response_format=schema).json()["choices"]
    assert json.loads(one["message"]["content"]).keys() == {"has_text", "animal"}
    assert one["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "body",
    [
        {"response_format": {"type": "json_object", "schema": SEEN["parameters"]}},
        {"response_format": {"type": "json_object", "value": SEEN["parameters"]}},
        {"guided_json": json.dumps(SEEN["parameters"])},
        {"structured_outputs": {"json": SEEN["parameters"]}},
    ],
    ids=str,
)
def test_other_ways_to_give_a_schema_are_honoured(server: Server, body: dict[str, Any]):
    (one,) = server.ask(messages=shown(), **body).json()["choices"]
    assert json.loads(one["message"]["content"])["animal"] in ANIMALS


def test_a_choice_and_a_regex_are_answered_without_quotes(server: Server):
    for body, allowed in (
        ({"structured_outputs": {"choice": ["an owl (A.B)", "a bee?"]}}, ("an owl (A.B)", "a bee?")),
        ({"guided_choice": ["owl", "bee"]}, ("owl", "bee")),
        ({"structured_outputs": {"regex": "cat{3}s"}}, ("catt" + "ts",)),
    ):
        (one,) = server.ask(messages=shown(), **body).json()["choices"]
        assert one["message"]["content"] in allowed


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"structured_outputs": {"grammar": "root ::= x"}}, "grammar"),
        ({"guided_grammar": "root ::= x"}, "grammar"),
        ({"structured_outputs": {"choice": []}}, "choice"),
        ({"guided_json": "[]"}, "JSON schema"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "x"}}}, "'x'"),
        ({"tools": TOOLS, "tool_choice": {"type": "custom", "custom": {"name": "x"}}}, "tool_choice"),
        ({"tools": TOOLS * 200}, "tools"),
        (
            {"response_format": {"type": "json_object", "schema": {"type": "string", "pattern": "(?=a)b"}}},
            "(?=a)b",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_named(server: Server, body: dict[str, Any], told: str):
    answer = server.ask(messages=shown(), **body)
    assert answer.status_code == 400
    assert told in answer.json()["error"]["message"]


def test_json_is_not_cut_by_the_default_limit(server: Server):
    schema = {"type": "array", "items": {"const": 7}, "minItems": 270, "maxItems": 270}
    body = {"response_format": {"type": "json_object", "schema": schema}}
    (one,) = server.ask(messages=shown(), **body).json()["choices"]
    assert len(json.loads(one["message"]["content"])) == 270
    (cut,) = server.ask(messages=shown(), max_tokens=5, **body).json()["choices"]
    assert cut["finish_reason"] == "length"


def test_a_question_without_a_picture_has_an_answer(client: openai.OpenAI):
    for text in ("Hello", "Respond in JSON with the key tags."):
        (one,) = ask(client, messages=[{"role": "user", "content": text}], max_tokens=40).choices
        assert one.message.content.strip()


@pytest.mark.parametrize("model", ["afar", "nobody"])
def test_tools_are_passed_on_and_a_fallback_calls_them_too(near: Server, model: str):
    body: dict[str, Any] = {"model": model, "tools": TOOLS, "tool_choice": NAMED}
    (one,) = near.ask(messages=shown(), **body).json()["choices"]
    assert one["finish_reason"] == "tool_calls"
    (call,) = one["message"]["tool_calls"]
    assert call["function"]["name"] == "Seen"
    assert json.loads(call["function"]["arguments"])["animal"] in ANIMALS
    events = near.ask(messages=shown(), stream=True, **body).text
    assert '"finish_reason":"tool_calls"' in events.replace(": ", ":")
    result = {"role": "tool", "tool_call_id": call["id"], "content": "yes"}
    answer = near.ask(messages=[*shown(), one["message"], result], model=model, max_tokens=3)
    assert answer.json()["choices"][0]["message"]["content"]

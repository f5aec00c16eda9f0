"""Anthropic's protocol against a real server: messages, streams, tools, counts and errors."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.served import served
from smallsight.http.api_keys import ApiKeys, Scope

from .serving import Server, png, running

TINY = "Smallsight-tiny"
PICTURE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(png()).decode()},
}
ASKED = [{"role": "user", "content": [PICTURE, {"type": "text", "text": "Describe the picture."}]}]
SIGHT = {
    "name": "report",
    "description": "Reports what is seen.",
    "input_schema": {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green"]}},
        "required": ["colour"],
        "additionalProperties": False,
    },
}
OTHER = {"name": "stop", "input_schema": {"type": "object", "properties": {}, "additionalProperties": False}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("serve") / "home", "--model", TINY) as one:
        yield one


def send(server: Server, path: str = "/v1/messages", **body: Any) -> tuple[int, dict[str, Any]]:
    given = {"model": TINY, "max_tokens": 12, "messages": ASKED} | body
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "files-api-2025-04-14"}
    answer = server.http.post(path, json=given, headers=headers)
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    return answer.status_code, answer.json()


def events(server: Server, **body: Any) -> list[dict[str, Any]]:
    given = {"model": TINY, "max_tokens": 12, "messages": ASKED, "stream": True} | body
    with server.http.stream("POST", "/v1/messages", json=given) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = list(answer.iter_lines())
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    found = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert names == [one["type"] for one in found]
    return found


def test_a_picture_is_described(server: Server):
    status, message = send(server)
    assert status == 200, message
    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", TINY)
    assert message["id"].startswith("msg_")
    (block,) = message["content"]
    assert set(block) == {"type", "text"}  # the AI SDK refuses "citations": null
    assert block["type"] == "text"
    assert block["text"]
    assert message["stop_reason"] in ("end_turn", "max_tokens")
    assert message["usage"]["output_tokens"] >= 1


def test_a_stream_says_the_same_as_the_whole_message(server: Server):
    _, message = send(server)
    first, *rest = events(server)
    assert (first["type"], first["message"]["content"]) == ("message_start", [])
    counted = send(server, "/v1/messages/count_tokens")[1]["input_tokens"]
    assert first["message"]["usage"]["input_tokens"] == counted
    told = "".join(one["delta"]["text"] for one in rest if one["type"] == "content_block_delta")
    assert told.strip() == message["content"][0]["text"]
    kinds = [one["type"] for one in rest if one["type"] != "content_block_delta"]
    assert kinds == ["ping", "content_block_start", "content_block_stop", "message_delta", "message_stop"]
    delta = rest[-2]
    assert delta["delta"]["stop_reason"] == message["stop_reason"]
    assert sum(delta["usage"].values()) == sum(message["usage"].values())


def test_the_tokens_that_are_counted_are_those_that_are_used(server: Server):
    for messages in (
        ASKED,
        [{"role": "user", "content": "Hello"}],
        [*ASKED, {"role": "assistant", "content": "A"}, *ASKED],
    ):
        status, counted = send(server, "/v1/messages/count_tokens", messages=messages, system="Be brief.")
        assert status == 200, counted
        usage = send(server, messages=messages, system="Be brief.", max_tokens=1)[1]["usage"]
        assert counted == {"input_tokens": usage["input_tokens"] + usage["cache_read_input_tokens"]}


def test_a_longer_prompt_has_more_tokens(server: Server):
    short = send(server, "/v1/messages/count_tokens", messages=[{"role": "user", "content": "Hello"}])[1]
    whole = send(server, "/v1/messages/count_tokens")[1]
    assert 0 < short["input_tokens"] < whole["input_tokens"]


@pytest.mark.parametrize("choice", [{"type": "tool", "name": "report"}, {"type": "any"}])
def test_a_tool_that_must_be_called_is_called(server: Server, choice: dict[str, str]):
    _, message = send(server, tools=[SIGHT], tool_choice=choice, max_tokens=64)
    (block,) = message["content"]
    assert (block["type"], block["name"], message["stop_reason"]) == ("tool_use", "report", "tool_use")
    assert block["id"].startswith("toolu_")
    assert block["input"]["colour"] in ("red", "green")


def test_one_of_several_tools_is_called(server: Server):
    body = {"tools": [SIGHT, OTHER], "tool_choice": {"type": "any"}, "max_tokens": 64}
    _, message = send(server, **body)
    (block,) = message["content"]
    assert block["name"] in ("report", "stop")
    told = events(server, **body)
    start = next(one for one in told if one["type"] == "content_block_start")["content_block"]
    written = "".join(one["delta"]["partial_json"] for one in told if one["type"] == "content_block_delta")
    assert (start["type"], start["name"], json.loads(written)) == ("tool_use", block["name"], block["input"])


@pytest.mark.parametrize("choice", [{"type": "tool", "name": "report"}, {"type": "any"}], ids=str)
def test_the_input_of_a_call_is_streamed_as_it_is_decoded(server: Server, choice: dict[str, str]):
    words = [{"role": "user", "content": f"Say {choice['type']}."}]  # each question is computed
    other = {**SIGHT, "name": "tell"}
    body = {"tools": [SIGHT, other], "tool_choice": choice, "max_tokens": 64, "messages": words}
    told = events(server, **body)
    deltas = [one["delta"] for one in told if one["type"] == "content_block_delta"]
    assert {one["type"] for one in deltas} == {"input_json_delta"}
    assert len(deltas) > 1
    (start,) = (one["content_block"] for one in told if one["type"] == "content_block_start")
    assert told[-2]["delta"]["stop_reason"] == "tool_use"
    (block,) = send(server, **body)[1]["content"]
    joined = json.loads("".join(one["partial_json"] for one in deltas))
    assert (start["name"], start["input"], joined) == (block["name"], {}, block["input"])


def test_a_call_that_is_cut_off_says_so(server: Server):
    body = {"tools": [SIGHT], "tool_choice": {"type": "any"}, "max_tokens": 2}
    told = events(server, **body)
    kinds = {one["delta"]["type"] for one in told if one["type"] == "content_block_delta"}
    assert kinds == {"input_json_delta"}
    assert told[-2]["delta"]["stop_reason"] == "max_tokens"
    _, message = send(server, **body)
    assert (message["content"][0]["type"], message["stop_reason"]) == ("text", "max_tokens")


@pytest.mark.parametrize("choice", [None, {"type": "auto"}, {"type": "none"}])
def test_a_tool_that_may_be_called_leaves_an_answer_in_text(server: Server, choice: dict[str, str] | None):
    web = {"type": "web_search_20250305", "name": "web_search"}
    status, message = send(server, tools=[SIGHT, web], **({} if choice is None else {"tool_choice": choice}))
    assert (status, message["content"][0]["type"]) == (200, "text")


def test_a_conversation_with_a_tool_goes_on(server: Server):
    result = {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": [{"type": "text", "text": "This one:"}, PICTURE],
    }
    called = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "cat"}}
    messages = [
        {"role": "user", "content": "What is there?"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "y"}, called]},
        {"role": "user", "content": [result, {"type": "text", "text": "Well?"}]},
    ]
    _, without = send(server, "/v1/messages/count_tokens", messages=messages[:2])
    status, counted = send(server, "/v1/messages/count_tokens", messages=messages)
    assert status == 200, counted
    assert counted["input_tokens"] > without["input_tokens"] + 10
    assert send(server, messages=messages)[0] == 200


def test_a_stop_sequence_is_named(server: Server):
    whole = send(server)[1]["content"][0]["text"]
    word = whole.split()[1]
    for _ in range(2):  # the second answer comes from the cache
        _, message = send(server, stop_sequences=["never said", word])
        assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", word)
        assert message["content"][0]["text"] == whole.partition(word)[0].strip()


def test_an_answer_that_is_cut_says_so(server: Server):
    assert send(server, max_tokens=1)[1]["stop_reason"] == "max_tokens"


def test_an_answer_can_be_held_to_a_schema(server: Server):
    form = {"type": "json_schema", "schema": SIGHT["input_schema"]}
    _, message = send(server, output_config={"format": form}, max_tokens=64)
    assert json.loads(message["content"][0]["text"])["colour"] in ("red", "green")


def test_the_official_client_works_unchanged(server: Server):
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(base_url=server.url, api_key="any", max_retries=0) as client:
        asked = {"model": TINY, "messages": ASKED}
        message = client.messages.create(max_tokens=12, **asked)
        with client.messages.stream(max_tokens=12, **asked) as stream:
            assert "".join(stream.text_stream).strip() == message.content[0].text
            assert stream.get_final_message().usage.output_tokens == message.usage.output_tokens
        assert client.messages.count_tokens(**asked).input_tokens > 0
        forced = {"tools": [SIGHT], "tool_choice": {"type": "any"}, "max_tokens": 64}
        with client.messages.stream(**asked, **forced) as stream:
            (call,) = stream.get_final_message().content
        assert call.input["colour"] in ("red", "green")
        with pytest.raises(anthropic.NotFoundError, match="claude-9") as refused:
            client.messages.create(model="claude-9", max_tokens=4, messages=ASKED)
        assert refused.value.request_id.startswith("req_")


def block(**fields: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [fields]}]


@pytest.mark.parametrize(
    ("body", "status", "kind", "words"),
    [
        ({"model": "claude-9"}, 404, "not_found_error", "claude-9"),
        ({"max_tokens": 0}, 400, "invalid_request_error", "max_tokens"),
        ({"max_tokens": None}, 400, "invalid_request_error", "max_tokens"),
        ({"messages": []}, 400, "invalid_request_error", "messages"),
        ({"messages": block(type="audio")}, 400, "invalid_request_error", "messages.0.content.0"),
        ({"messages": block(type="image", source={"type": "base64"})}, 400, "invalid_request_error", "data"),
        ({"messages": block(type="image", source={"type": "file"})}, 400, "invalid_request_error", "files"),
        (
            {"messages": block(type="image", source={"type": "url", "url": "file:///etc/passwd"})},
            *(400, "invalid_request_error", "cannot be read"),
        ),
        (
            {"messages": block(type="image", source={"type": "base64", "data": "AAAA"})},
            *(415, "invalid_request_error", ""),
        ),
        (
            {"messages": block(type="document", source={"type": "base64"})},
            400,
            "invalid_request_error",
            "text",
        ),
        ({"tool_choice": {"type": "any"}}, 400, "invalid_request_error", "tool_choice"),
        (
            {"tools": [SIGHT], "tool_choice": {"type": "tool", "name": "x"}},
            *(400, "invalid_request_error", "'x'"),
        ),
        ({"temperature": 9}, 400, "invalid_request_error", "temperature"),
        ({"messages": block(type="text", text="x" * 3_000_000)}, 413, "request_too_large", "text"),
        (
            {"messages": block(type="document", source={"type": "text", "data": "x" * 3_000_000})},
            *(413, "request_too_large", "text"),
        ),
    ],
)
def test_a_bad_request_is_a_sentence(
    server: Server, body: dict[str, Any], status: int, kind: str, words: str
):
    given = {"model": TINY, "max_tokens": 4, "messages": ASKED} | body
    answer = server.http.post("/v1/messages", json=given)
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert set(found) == {"type", "error", "request_id"}
    assert (found["type"], found["error"]["type"]) == ("error", kind)
    assert words in found["error"]["message"]
    assert found["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/v1/messages/", "/v1/messages/batches", "/v1/messages/x/y"]
)
def test_nowhere_has_the_shape_of_this_protocol(server: Server, path: str):
    answer = server.http.get(path)
    assert answer.status_code in (404, 405)
    assert answer.json()["type"] == "error"


def test_a_key_is_taken_from_either_header(tmp_path: Path):
    key = ApiKeys(tmp_path / "api-keys.json").add("one", frozenset({Scope.USE}))
    body = {"model": "test", "max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}
    with served(tmp_path) as (client, _):
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            statuses = [
                client.post(path, json=body, headers=headers).status_code
                for headers in (
                    {},
                    {"x-api-key": "wrong"},
                    {"x-api-key": key},
                    {"authorization": f"Bearer {key}"},
                    {"authorization": "Basic x", "x-api-key": key},
                )
            ]
            assert statuses == [401, 401, 200, 200, 401]
            refused = client.post(path, content=b"{").json()
            assert refused["error"]["type"] == "authentication_error"

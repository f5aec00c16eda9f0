"""Stored responses of a real server process, as the official Python client continues and reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.machine.private_files import is_open_to_others

from .serving import Server, data_url, running

BALLOON = data_url(name="red-balloon.png")
PICTURE = {"type": "input_image", "image_url": BALLOON}


def picture(text: str = "What is it?") -> list[dict[str, Any]]:
    return [{"role": "user", "content": [PICTURE, {"type": "input_text", "text": text}]}]


SEE = {
    "type": "function",
    "name": "see",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"animal": {"enum": ["owl", "bee"]}},
        "required": ["animal"],
        "additionalProperties": False,
    },
}
COUNT = {
    "type": "function",
    "name": "count",
    "parameters": {
        "type": "object",
        "properties": {"number": {"type": "integer", "minimum": 0, "maximum": 9}},
        "required": ["number"],
        "additionalProperties": False,
    },
}
TINY = "Smallsight-tiny"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("serve") / "home", "--model", "test") as one:
        yield one


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as one:
        yield one


def test_a_second_turn_asks_about_the_first_picture(client: openai.OpenAI):
    first = client.responses.create(model="test", input=picture())
    second = client.responses.create(model="test", input="And its colour?", previous_response_id=first.id)
    assert second.output_text == "red balloon"
    assert (second.previous_response_id, second.store) == (first.id, True)
    third = client.responses.create(model="test", input="Sure?", previous_response_id=second.id)
    assert third.output_text == "red balloon"


def test_an_item_is_referred_to_by_its_id(client: openai.OpenAI):
    first = client.responses.create(model="test", input=picture())
    items = client.responses.input_items.list(first.id).data
    second = client.responses.create(
        model="test",
        input=[
            {"type": "item_reference", "id": items[0].id},
            {"id": first.output[0].id},
            {"role": "user", "content": "And its colour?"},
        ],
    )
    assert second.output_text == "red balloon"
    assert second.usage.input_tokens == 3 + 2 + 3


def test_what_is_not_stored_is_not_found(client: openai.OpenAI):
    first = client.responses.create(model="test", input=picture(), store=False)
    assert first.store is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="test", input="More?", previous_response_id=first.id)
    assert caught.value.code == "previous_response_not_found"
    assert caught.value.param == "previous_response_id"
    with pytest.raises(openai.NotFoundError) as missing:
        client.responses.create(
            model="test", input=[{"type": "item_reference", "id": first.output[0].id}, *picture()]
        )
    assert missing.value.param == "input.0.id"


def test_a_response_is_read_and_deleted(client: openai.OpenAI):
    first = client.responses.create(model="test", input=picture(), metadata={"a": "b"})
    again = client.responses.retrieve(first.id)
    assert again == first
    second = client.responses.create(model="test", input="More?", previous_response_id=first.id)
    (item,) = client.responses.input_items.list(first.id)
    assert [part.type for part in item.content] == ["input_image", "input_text"]
    assert item.content[0].image_url is None
    whole = client.responses.input_items.list(first.id, include=["message.input_image.image_url"])
    assert whole.data[0].content[0].image_url == BALLOON
    client.responses.delete(first.id)
    for use in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            use(first.id)
    with pytest.raises(openai.BadRequestError):  # it would continue what is deleted
        client.responses.create(model="test", input="Sure?", previous_response_id=second.id)


def test_a_long_list_of_items_is_read_page_by_page(client: openai.OpenAI):
    said = [{"role": "user", "content": str(number)} for number in range(5)]
    first = client.responses.create(model="test", input=said)
    page = client.responses.input_items.list(first.id, limit=2, order="asc")
    assert page.has_more
    assert [item.content[0].text for item in page] == ["0", "1", "2", "3", "4"]
    assert next(item.content[0].text for item in client.responses.input_items.list(first.id)) == "4"
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.input_items.list(first.id, limit=101)
    assert caught.value.param == "limit"


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ({"type": "function", "name": "see"}, "see"),
        ("required", None),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "count"}]},
            "count",
        ),
    ],
    ids=str,
)
def test_a_required_tool_is_called(client: openai.OpenAI, choice: Any, name: str | None):
    tools: Any = [SEE, COUNT, {"type": "web_search"}]
    answer = client.responses.create(model=TINY, input="What?", tools=tools, tool_choice=choice)
    (call,) = answer.output
    assert (answer.status, call.type, call.status) == ("completed", "function_call", "completed")
    assert name in (call.name, None)
    arguments = json.loads(call.arguments)
    assert arguments in ({"animal": "owl"}, {"animal": "bee"}, *({"number": n} for n in range(10)))
    assert [tool.type for tool in answer.tools] == ["function", "function", "web_search"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "It is an owl."}
    told = client.responses.create(model="test", input=[result], tools=tools, previous_response_id=answer.id)
    assert (told.output[0].type, told.output_text) == ("message", "no picture")


@pytest.mark.parametrize("tools", [[SEE], [SEE, COUNT]], ids=["one", "several"])
def test_the_arguments_of_a_call_are_streamed_as_they_are_decoded(client: openai.OpenAI, tools: Any):
    asked: Any = {"model": TINY, "input": "What is it?", "tools": tools, "tool_choice": "required"}
    with client.responses.stream(**asked) as stream:
        events = list(stream)
        final = stream.get_final_response()
    deltas = [event for event in events if event.type == "response.function_call_arguments.delta"]
    kinds = [event.type for event in events]
    first = kinds.index(deltas[0].type)
    assert len(deltas) > 1
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        *[deltas[0].type] * len(deltas),
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]
    added, done = events[first - 1].item, events[first + len(deltas)]
    assert (added.status, added.arguments) == ("in_progress", "")
    (call,) = final.output
    assert (call.id, call.call_id, call.name, call.status) == (
        added.id,
        added.call_id,
        added.name,
        "completed",
    )
    assert "".join(one.delta for one in deltas) == call.arguments == done.arguments
    assert {(one.item_id, one.output_index) for one in (*deltas, done)} == {(call.id, 0)}
    (stored,) = client.responses.retrieve(final.id).output
    assert (stored.id, stored.call_id, stored.arguments) == (call.id, call.call_id, call.arguments)
    (whole,) = client.responses.create(**asked).output
    assert (whole.name, whole.arguments) == (call.name, call.arguments)


def test_a_call_that_is_cut_off_is_incomplete(client: openai.OpenAI):
    asked: Any = {"model": TINY, "input": "What?", "tools": [SEE], "tool_choice": "required"}
    answer = client.responses.create(**asked, max_output_tokens=2)
    (call,) = answer.output
    assert (answer.status, call.type, call.status) == ("incomplete", "function_call", "incomplete")
    *_, last = client.responses.create(**asked, max_output_tokens=2, stream=True)
    assert (last.type, last.response.output[0].arguments) == ("response.incomplete", call.arguments)


def test_without_a_choice_the_answer_is_text(client: openai.OpenAI):
    for choice in ("auto", "none", None):
        more = {} if choice is None else {"tool_choice": choice}
        answer = client.responses.create(
            model="test", input="What?", tools=[SEE, {"type": "web_search"}], **more
        )
        assert (answer.output_text, answer.tool_choice) == ("no picture", choice or "auto")


PART = {"type": "input_text", "text": "x"}


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"input": 5}, "input", "string"),
        ({"input": []}, "input", "at least 1"),
        ({"input": ["hello"]}, "input.0", "an object"),
        (
            {"input": [{"type": "computer_call"}]},
            "input.0.type",
            "'computer_call' is not known here; message, function_call",
        ),
        ({"input": [{"role": "king", "content": "x"}]}, "input.0.role", "'user'"),
        ({"input": [{"role": "user", "content": 5}]}, "input.0.content", "string"),
        ({"input": [{"role": "user"}]}, "input.0.content", "required"),
        (
            {"input": [{"role": "user", "content": [PART, {"type": "input_audio"}]}]},
            "input.0.content.1.type",
            "'input_audio' is not known here; input_text",
        ),
        ({"input": [{"role": "user", "content": [PART, {}]}]}, "input.0.content.1", "no type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input.0.content.0.text",
            "required",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "input.0.content.0.image_url.url",
            "required",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input.0.content.0",
            "no image_url",
        ),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input.0.call_id", "required"),
        ({"input": [{"type": "item_reference"}]}, "input.0.id", "required"),
        ({"input": [{"type": "reasoning", "summary": []}]}, "input", "0 messages"),
        ({"conversation": "conv_1"}, "conversation", "does not support conversation"),
        ({"background": True}, "background", "does not support background"),
        ({"previous_response_id": 5}, "previous_response_id", "string"),
        ({"tools": [{"type": "function"}]}, "tools.0.name", "no name"),
        ({"tools": [{"name": "see"}]}, "tools.0.type", "required"),
        ({"tools": [SEE], "tool_choice": "see"}, "tool_choice", '"required"'),
        ({"tools": [SEE], "tool_choice": {"type": 5}}, "tool_choice.type", "string"),
        (
            {"tools": [SEE], "tool_choice": {"type": "function", "name": "hear"}},
            "tool_choice.name",
            "'hear' (known: see)",
        ),
        ({"tools": [SEE], "tool_choice": {"type": "web_search"}}, "tool_choice.type", "'web_search'"),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice", "(web_search)"),
    ],
    ids=str,
)
def test_what_cannot_be_done_names_its_place(client: openai.OpenAI, body: Any, param: str, words: str):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{"model": "test", "input": "x", **body})
    assert (caught.value.param, words in caught.value.message) == (param, True), caught.value.message


def test_parts_of_chat_completions_are_understood(client: openai.OpenAI):
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": BALLOON}}]
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    said: Any = [thought, {"role": "user", "content": parts}]
    assert client.responses.create(model="test", input=said).output_text == "red balloon"


def test_the_store_survives_a_kill_and_belongs_to_its_key(tmp_path: Path):
    home = tmp_path / "home"
    phone, tablet = (ApiKeys(home / "api-keys.json").add(name, frozenset({Scope.USE})) for name in ("a", "b"))
    server = Server(home, "--model", "test")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=phone, max_retries=0) as client:
        kept = [client.responses.create(model="test", input=picture(str(n))) for n in range(3)]
        asked = client.with_options(timeout=60).responses
        with asked.create(model="test", input=picture("the last"), stream=True) as stream:
            last = next(event for event in stream if event.type == "response.completed").response
    server.process.kill()
    server.stop()
    with running(home, "--model", "test") as again:
        with openai.OpenAI(base_url=f"{again.url}/v1", api_key=phone, max_retries=0) as client:
            for one in (*kept, last):
                assert client.responses.retrieve(one.id).output_text == "red balloon"
                more = client.responses.create(model="test", input="More?", previous_response_id=one.id)
                assert more.output_text == "red balloon"
            with pytest.raises(openai.NotFoundError):
                client.with_options(api_key=tablet).responses.retrieve(last.id)
            with pytest.raises(openai.BadRequestError):
                client.with_options(api_key=tablet).responses.create(
                    model="test", input="More?", previous_response_id=last.id
                )
            assert is_open_to_others(home / "responses.sqlite3") is False
            (home / "responses.sqlite3").write_bytes(b"damaged" * 1000)
            told = client.responses.create(model="test", input=picture())
            assert (told.output_text, told.store) == ("red balloon", True)
            with pytest.raises(openai.NotFoundError):
                client.responses.retrieve(last.id)
            (home / "responses.sqlite3").unlink()
            (home / "responses.sqlite3").mkdir()
            told = client.responses.create(model="test", input=picture())
            assert (told.output_text, told.store) == ("red balloon", False)
            with pytest.raises(openai.NotFoundError):
                client.responses.retrieve(told.id)
        assert "stored_responses_damaged" in again.log.read_text()
        assert "stored_responses_failed" in again.log.read_text()

"""The official Python client against a real server: what people's programs do."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types.responses import Response

from .serving import Server, about, data_url, running

BALLOON = data_url(name="red-balloon.png")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("serve") / "home", "--model", "test") as one:
        yield one


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as one:
        yield one


def test_a_question_about_a_picture(client: openai.OpenAI):
    answer = client.chat.completions.create(model="test", messages=about(BALLOON))
    assert (answer.object, answer.model) == ("chat.completion", "test")
    assert answer.id.startswith("chatcmpl-")
    (choice,) = answer.choices
    assert (choice.index, choice.finish_reason) == (0, "stop")
    assert (choice.message.role, choice.message.content) == ("assistant", "red balloon")
    assert answer.usage.prompt_tokens == 3
    assert answer.usage.completion_tokens == 2
    assert answer.usage.total_tokens == 5
    assert answer.processing_time >= answer.inference_time >= 0


def test_the_answer_as_it_is_told_to_any_client(server: Server):
    response = server.ask(model="test", messages=about(BALLOON))
    body = response.json()
    assert response.headers["content-type"] == "application/json"
    assert set(body) == {
        *("id", "object", "created", "model", "choices", "usage", "processing_time", "inference_time")
    }
    assert body["choices"][0]["logprobs"] is None
    assert body["choices"][0]["message"]["refusal"] is None


def test_several_pictures_over_several_turns(client: openai.OpenAI):
    cat = data_url(name="a cat.png")
    messages = [
        {"role": "developer", "content": "Be brief."},
        *about(BALLOON),
        {"role": "assistant", "content": "red balloon"},
        *about(cat, text="And this?"),
    ]
    answer = client.chat.completions.create(model="test", messages=messages)
    assert answer.choices[0].message.content == "red balloon a cat"


def test_the_address_may_be_plain_text(server: Server):
    part = {"type": "image_url", "image_url": BALLOON}
    answer = server.ask(model="test", messages=[{"role": "user", "content": [part]}]).json()
    assert answer["choices"][0]["message"]["content"] == "red balloon"


def test_no_picture_at_all(client: openai.OpenAI):
    answer = client.chat.completions.create(model="test", messages=[{"role": "user", "content": "Title?"}])
    assert answer.choices[0].message.content == "no picture"


def test_the_longest_answer_under_both_names(client: openai.OpenAI):
    for name in ("max_tokens", "max_completion_tokens"):
        answer = client.chat.completions.create(model="test", messages=about(BALLOON), **{name: 1})
        assert answer.choices[0].message.content == "red"
        assert answer.choices[0].finish_reason == "length"


def test_the_active_model_answers_when_none_is_named(server: Server):
    assert server.ask().json()["model"] == "test"


def test_several_choices(client: openai.OpenAI):
    answer = client.chat.completions.create(model="test", messages=about(BALLOON), n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage.completion_tokens == 6


def test_a_stream(client: openai.OpenAI):
    stream = client.chat.completions.create(
        model="test", messages=about(BALLOON), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    *told, end, usage = chunks
    assert told[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].delta.content for chunk in told] == ["red", " balloon"]
    assert (end.choices[0].delta.content, end.choices[0].finish_reason) == (None, "stop")
    assert (usage.choices, usage.usage.total_tokens) == ([], 5)
    assert {chunk.usage for chunk in chunks[:-1]} == {None}


def test_a_stream_of_two_choices(client: openai.OpenAI):
    texts = ["", ""]
    ends = []
    for chunk in client.chat.completions.create(model="test", messages=about(BALLOON), n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            ends += [choice.index] if choice.finish_reason else []
    assert (texts, sorted(ends)) == (["red balloon"] * 2, [0, 1])


def test_a_stream_ends_with_done_and_is_not_cached(server: Server):
    with server.http.stream("POST", "/v1/chat/completions", json={"messages": about(), "stream": True}) as r:
        assert r.headers["content-type"].startswith("text/event-stream")
        assert r.headers["cache-control"] == "no-store"
        text = r.read().decode()
    assert text.endswith("data: [DONE]\n\n")


def test_many_questions_at_once_without_waiting(server: Server):
    async def ask_all() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            ask = client.chat.completions.create
            asked = [ask(model="test", messages=about(data_url(name=f"n {i}.png"))) for i in range(12)]
            return [answer.choices[0].message.content for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask_all()) == [f"n {i}" for i in range(12)]


def test_a_stream_without_waiting(server: Server):
    async def read() -> str:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            stream = await client.chat.completions.create(model="test", messages=about(BALLOON), stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(read()) == "red balloon"


def test_a_response(client: openai.OpenAI):
    answer = client.responses.create(
        model="test",
        instructions="Be brief.",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": BALLOON, "detail": "low"},
                    {"type": "input_text", "text": "What is it?"},
                ],
            }
        ],
    )
    assert (answer.object, answer.status, answer.output_text) == ("response", "completed", "red balloon")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 2)
    assert answer.usage.total_tokens == 7
    Response.model_validate(answer.model_dump(), strict=False)


def test_a_response_that_is_cut_is_incomplete(client: openai.OpenAI):
    answer = client.responses.create(model="test", input="Hello there", max_output_tokens=1)
    assert (answer.status, answer.output_text) == ("incomplete", "no")
    assert answer.incomplete_details.reason == "max_output_tokens"


def test_a_streamed_response(client: openai.OpenAI):
    events = list(client.responses.create(model="test", input="Hello", stream=True))
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(10))
    assert events[-1].response.output_text == "no picture"
    with client.responses.stream(model="test", input="Hello") as stream:  # builds the object by itself
        stream.until_done()
        assert stream.get_final_response().output_text == "no picture"


def test_models_are_listed_and_found(client: openai.OpenAI):
    assert "test" in [model.id for model in client.models.list()]
    assert client.models.retrieve("TEST").id == "test"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("HuggingFaceTB/SmolVLM-256M-Instruct")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"max_tokens": 10**9}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"n": 10**9}, "n"),
        ({"temperature": "hot"}, "temperature"),
        ({"logprobs": True, "top_logprobs": 10**9}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"stop": ["a"] * 100}, "stop.list[constrained-str]"),
        ({"tools": [{"type": "function"}]}, "tools.0.function"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"frequency_penalty": 3.0}, "frequency_penalty"),
        ({"logit_bias": {"cat": 3}}, "logit_bias"),
        ({"messages": about("/etc/passwd")}, "image_url"),
        ({"messages": about("file:///etc/passwd")}, "image_url"),
        ({"messages": about("https://example.org/cat.png")}, "image_url"),
        ({"messages": about("data:image/png;base64,!!!!")}, "image_url"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "video_url"}]}]}, None),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_a_sentence(client: openai.OpenAI, body: dict, param: str | None):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": "test", "messages": about(BALLOON), **body})
    error = caught.value
    assert error.type == "invalid_request_error"
    assert error.request_id.startswith("req_")
    if param is not None and "[" not in param:
        assert error.param == param


@pytest.mark.parametrize(
    ("url", "kind", "code"),
    [
        (data_url(b"no picture"), openai.APIStatusError, "unsupported_format"),
        (data_url(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), openai.APIStatusError, "unsupported_format"),
        (data_url(b"\x89PNG\r\n\x1a\nnothing"), openai.UnprocessableEntityError, "corrupt_picture"),
    ],
)
def test_a_bad_picture_is_told_by_its_code(client: openai.OpenAI, url: str, kind: type, code: str):
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model="test", messages=about(url))
    assert caught.value.code == code


def test_an_unknown_model_is_not_found(client: openai.OpenAI):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-9", messages=about(BALLOON))
    assert caught.value.code == "model_not_found"


def test_unknown_fields_are_left_alone(server: Server):
    answer = server.ask(model="test", store=True, metadata={"a": "b"}, chat_id="x", verbosity="low")
    assert answer.status_code == 200


def test_a_request_id_is_taken_over_if_harmless(server: Server):
    asked = server.http.get("/", headers={"x-request-id": "mine-1"})
    assert asked.headers["x-request-id"] == "mine-1"
    asked = server.http.get("/", headers={"x-request-id": "a b"})
    assert asked.headers["x-request-id"].startswith("req_")


def test_figures_say_what_happened(server: Server):
    server.ask(model="test", messages=about(BALLOON))
    text = server.http.get("/metrics").text
    assert 'smallsight_requests_total{method="POST",route="/v1/chat/completions",status="200"}' in text
    assert 'smallsight_tokens_total{kind="completion",model="test"}' in text
    assert "smallsight_memory_budget_bytes" in text


def test_pages_for_people(server: Server):
    assert server.http.get("/").json()["name"] == "smallsight"
    page = server.http.get("/docs").text
    assert "POST /v1/chat/completions" in page
    assert "<script" not in page


def test_health(server: Server):
    assert server.http.get("/health/live").json() == {"status": "ok"}
    assert server.http.get("/health/ready").json() == {"status": "ok"}
    health = server.health()
    assert (health["status"], health["active_model"]) == ("ok", "test")
    assert [model["name"] for model in health["models"]] == ["test"]


def test_the_data_folder_holds_nothing_of_a_question(server: Server):
    server.ask(model="test", messages=about(BALLOON, text="a secret question"))
    body = {"model": "test", "input": "a secret question", "store": False}
    assert server.http.post("/v1/responses", json=body).status_code == 200
    kept = [path for path in Path(server.home).rglob("*") if path.is_file()]
    assert not any("secret" in path.read_text(errors="replace") for path in kept)

"""Checkpoints whose chat templates know tools, behind a real server: in the style of Qwen and of Llama."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from writing_smolvlm import LLAMA_TEMPLATE, QWEN_TEMPLATE, make_writing_checkpoint

from .serving import Server, running

ANSWERS = {
    "qwen": [
        "Let me ",
        "look.\n",
        "<tool_call>\n",
        '{"name": "get_weather", ',
        '"arguments": {"city": ',
        '"Bonn"}}',
        "\n</tool_call>",
    ],
    "llama": ['{"name": "get_weather", ', '"parameters": {"city": ', '"Bonn"}}'],
    "broken": ["Well: ", "<tool_call>", '{"name": "get_weather", ', '"arguments": {"city": '],
}
TEXTS = {"qwen": "Let me look.", "llama": None}
TEMPLATES = {"qwen": QWEN_TEMPLATE, "llama": LLAMA_TEMPLATE, "broken": QWEN_TEMPLATE}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "description": "The weather.", "parameters": PARAMETERS}
TOOLS: Any = [{"type": "function", "function": WEATHER}]
ASKED: Any = [{"role": "user", "content": "How is the weather in Bonn?"}]
CALL = ("get_weather", {"city": "Bonn"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("templates")
    models = RegisteredModels(root / "home" / "models.json")
    for name, words in ANSWERS.items():
        folder = make_writing_checkpoint(root / name, TEMPLATES[name], words)
        models.add(RegisteredModel(name, folder, "smolvlm"))
    with running(root / "home", threads="1", inference__dtype="fp32") as one:
        yield one


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as one:
        yield one


def post(server: Server, path: str, **body: Any) -> Any:
    answer = server.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("model", ["qwen", "llama"])
def test_what_the_model_decides_to_call_reaches_each_protocol(
    server: Server, client: openai.OpenAI, model: str
):
    (one,) = client.chat.completions.create(model=model, messages=ASKED, tools=TOOLS).choices
    (called,) = one.message.tool_calls or ()
    assert (called.function.name, json.loads(called.function.arguments)) == CALL
    assert (one.message.content, one.finish_reason) == (TEXTS[model], "tool_calls")

    flat: Any = [{"type": "function", **WEATHER}]
    output = client.responses.create(model=model, input="How is it?", tools=flat, store=False).output
    assert [item.type for item in output] == [*["message"] * bool(TEXTS[model]), "function_call"]
    assert (output[-1].name, json.loads(output[-1].arguments)) == CALL

    offered = [{"name": "get_weather", "input_schema": PARAMETERS}]
    asked = {"model": model, "messages": ASKED, "tools": offered}
    message = post(server, "/v1/messages", max_tokens=20, **asked)
    assert (message["content"][-1]["name"], message["content"][-1]["input"]) == CALL
    assert message["stop_reason"] == "tool_use"

    chat = post(server, "/api/chat", model=model, messages=ASKED, tools=TOOLS, stream=False)["message"]
    function = chat["tool_calls"][0]["function"]
    assert (function["name"], function["arguments"], chat["content"]) == (*CALL, TEXTS[model] or "")


@pytest.mark.parametrize("model", ["qwen", "llama"])
def test_a_stream_has_the_text_and_then_the_call(client: openai.OpenAI, model: str):
    with client.chat.completions.stream(model=model, messages=ASKED, tools=TOOLS) as stream:
        stream.until_done()
        (one,) = stream.get_final_completion().choices
    (called,) = one.message.tool_calls or ()
    assert (called.function.name, json.loads(called.function.arguments)) == CALL
    assert ((one.message.content or "").strip(), one.finish_reason) == (TEXTS[model] or "", "tool_calls")


def test_a_call_that_is_not_whole_stays_text(client: openai.OpenAI):
    whole = client.chat.completions.create(model="broken", messages=ASKED, tools=TOOLS).choices[0]
    assert (whole.message.content, whole.message.tool_calls) == ("".join(ANSWERS["broken"]).strip(), None)
    with client.chat.completions.stream(model="broken", messages=ASKED, tools=TOOLS) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.content == whole.message.content


@pytest.mark.parametrize("model", ["qwen", "llama"])
def test_without_tools_the_same_answer_is_text(client: openai.OpenAI, model: str):
    text = "".join(ANSWERS[model])
    for more in ({}, {"tools": TOOLS, "tool_choice": "none"}):
        (one,) = client.chat.completions.create(model=model, messages=ASKED, **more).choices
        assert (one.message.content, one.message.tool_calls) == (text, None)


@pytest.mark.parametrize("model", ["qwen", "llama"])
def test_the_prompt_has_the_tools_and_their_tokens_are_counted(server: Server, model: str):
    offered = [{"name": "get_weather", "description": "x" * 50, "input_schema": PARAMETERS}]
    counts = []
    for tools in ({}, {"tools": offered}, {"tools": offered, "tool_choice": {"type": "none"}}):
        asked = {"model": model, "messages": ASKED, **tools}
        counts.append(post(server, "/v1/messages/count_tokens", **asked)["input_tokens"])
        usage = post(server, "/v1/messages", max_tokens=1, **asked)["usage"]
        assert counts[-1] == usage["input_tokens"] + usage["cache_read_input_tokens"]
    assert counts[0] == counts[2]
    assert counts[1] > counts[0] + 100


@pytest.mark.parametrize("model", ["qwen", "llama"])
def test_a_conversation_with_a_result_goes_on(client: openai.OpenAI, model: str):
    (one,) = client.chat.completions.create(model=model, messages=ASKED, tools=TOOLS).choices
    (called,) = one.message.tool_calls or ()
    result = {"role": "tool", "tool_call_id": called.id, "content": "sunny"}
    said = [*ASKED, one.message.model_dump(exclude_none=True), result]
    answer = client.chat.completions.create(model=model, messages=said, tools=TOOLS)
    assert answer.choices[0].finish_reason == "tool_calls", "it says the same to everything"
    assert answer.usage is not None

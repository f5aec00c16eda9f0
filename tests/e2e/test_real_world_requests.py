"""Requests on which other servers failed, sent to a real one; ``docs/real-world-log.md`` has the reports."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from .serving import Server, data_url, running

pytestmark = pytest.mark.slow

MODEL = "Smallsight-tiny"
CHAT = "/v1/chat/completions"
ORIGIN = "http://app.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("reports") / "home"
    settings = {"threads": "1", "server__allowed_origins": json.dumps([ORIGIN])}
    with running(home, "--model", MODEL, **settings) as server:
        yield server


def asking(*messages: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 6, "messages": list(messages), **options}


def user(text: str = "What is this?", url: str | None = None) -> dict[str, Any]:
    picture = {"type": "image_url", "image_url": {"url": url or data_url()}}
    return {"role": "user", "content": [picture, {"type": "text", "text": text}]}


def answer(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    response = server.http.post(CHAT, json=body)
    assert response.status_code == 200, response.text
    choice: dict[str, Any] = response.json()["choices"][0]
    return choice


def refusal(server: Server, body: dict[str, Any]) -> str:
    response = server.http.post(CHAT, json=body)
    assert response.status_code == 400, response.text
    message: str = response.json()["error"]["message"]
    return message


def test_a_developers_message_counts_like_the_systems(server: Server):
    """halogen-server#3, sglang#40082, mlx-openai-server#267: refused, or dropped without a word"""

    def tokens(role: str) -> int:
        response = server.http.post(CHAT, json=asking({"role": role, "content": "Be brief."}, user()))
        assert response.status_code == 200, response.text
        used: int = response.json()["usage"]["prompt_tokens"]
        return used

    without = server.http.post(CHAT, json=asking(user())).json()["usage"]["prompt_tokens"]
    assert tokens("developer") == tokens("system") > without


@pytest.mark.parametrize("temperature", [-1, 1e15, "hot"])
def test_impossible_temperatures_are_refused(server: Server, temperature: Any):
    """llama-cpp-python#1384, llama.cpp#9842"""
    assert "temperature" in refusal(server, asking(user(), temperature=temperature))


def test_several_greedy_answers_are_the_same_answer(server: Server):
    """dynamo#3914 refuses n > 1 with temperature 0; here the same answer comes that often"""
    response = server.http.post(CHAT, json=asking(user(), n=3, temperature=0)).json()
    assert len({choice["message"]["content"] for choice in response["choices"]}) == 1
    assert len(response["choices"]) == 3


@pytest.mark.parametrize("picture_format", ["BMP", "TIFF", "GIF"])
def test_large_uncompressed_pictures_in_a_body(server: Server, picture_format: str):
    """snow-app#113: a BMP of 4.9 MB is "too large" """
    stream = io.BytesIO()
    Image.new("RGB", (1_600, 1_000), (200, 30, 30)).save(stream, picture_format)
    url = f"data:image/{picture_format.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
    assert answer(server, asking(user(url=url)))["finish_reason"] in {"stop", "length"}


@pytest.mark.parametrize("unknown", [{"flab": 10}, {"chat_template_kwargs": {"enable_thinking": False}}])
def test_options_that_nobody_knows_are_no_error_of_the_server(server: Server, unknown: dict[str, Any]):
    """mlflow#8697: an unknown option was a 500"""
    assert answer(server, asking(user(), **unknown))["finish_reason"]


def test_a_stream_never_cuts_a_character(tmp_path_factory: pytest.TempPathFactory):
    """qwisp#134, Swiftlet#7, lucebox#641, aprender#2019: halves of emoji came as U+FFFD"""
    name = "\U0001f44d\U0001f3fd größte 猫 \U0001f468\u200d\U0001f469"
    home = tmp_path_factory.mktemp("stream") / "home"
    with running(home, "--model", "test") as server:
        body = {"model": "test", "stream": True, "messages": [user(url=data_url(name=f"{name}.png"))]}
        with server.http.stream("POST", CHAT, json=body) as response:
            lines = [
                line.removeprefix("data: ") for line in response.iter_lines() if line.startswith("data: {")
            ]
    deltas = [json.loads(line)["choices"][0]["delta"].get("content") or "" for line in lines]
    assert "\ufffd" not in "".join(deltas)
    assert "\U0001f44d" in "".join(deltas)


@pytest.mark.parametrize(
    "headers", ["authorization, content-type", "authorization, dangerously-allow-browser"]
)
def test_a_browser_may_ask_before_it_sends_its_key(server: Server, headers: str):
    """vllm#4862, sonar#434, obsidian-copilot#2877: the preflight has no key and names headers of any SDK"""
    response = server.http.request(
        "OPTIONS",
        CHAT,
        headers={
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": headers,
        },
    )
    assert response.status_code in {200, 204}, response.text
    assert response.headers["access-control-allow-origin"] == ORIGIN
    allowed = response.headers["access-control-allow-headers"].lower()
    assert all(header in allowed for header in headers.split(", ")) or allowed == "*"


def test_an_assistants_message_without_words_is_no_crash(server: Server):
    """page-assist#243, GLaDOS#159: content is null or left out"""
    for silent in (
        {"role": "assistant", "content": None},
        {"role": "assistant"},
        {"role": "assistant", "content": ""},
    ):
        assert answer(server, asking(user(), silent, user("And now?")))["finish_reason"]


def test_pictures_in_anthropics_form_are_refused_in_words(server: Server):
    """lmstudio-bug-tracker#1755: the model crashed"""
    part = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    assert "'image'" in refusal(server, asking({"role": "user", "content": [part]}))


def test_a_refusal_says_so_in_its_status(server: Server):
    """lmstudio-bug-tracker#266: status 200 and no choices when a model cannot see pictures"""
    response = server.http.post(CHAT, json=asking(user(url="data:image/png;base64,AAAA")))
    assert response.status_code == 415
    assert response.json()["error"]["message"]
    assert "choices" not in response.json()

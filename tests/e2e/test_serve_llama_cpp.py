"""A model that llama.cpp's own server runs: another maker's program, with a tiny model of random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from benchmarks.served_process import LLAMA_CPP, llama_server, llama_server_program, write_tiny_gguf

import smallsight
from free_ports import free_port
from smallsight.settings import Settings

from .serving import Server, about, data_url, png, running
from .test_serve_remotes import circuit, streamed, text

MISSING = [
    name
    for name, is_here in {
        "llama-server": llama_server_program() is not None,
        "a Python with gguf": (LLAMA_CPP / "python").exists(),
    }.items()
    if not is_here
]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"`make peers` brings {' and '.join(MISSING)}")

HELLO = [{"role": "user", "content": "hello"}]
PICTURE = about(data_url(png(1)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gguf")
    write_tiny_gguf(root)
    return root


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def here(tmp_path: Path, port: int) -> Iterator[Server]:
    """Our server, which knows the other one, with a model that stands in and without."""
    (tmp_path / "smallsight.toml").write_text(
        f"""
[remotes.afar]
base_url = "http://127.0.0.1:{port}/v1"
fallback = "test"
rest_s = 60

[remotes.alone]
base_url = "http://127.0.0.1:{port}/v1"
retries = 0
rest_s = 60
"""
    )
    with running(tmp_path) as server:
        yield server


def directly(port: int, messages: list[dict[str, Any]], max_tokens: int) -> dict[str, Any]:
    """Ask llama-server itself, for the likeliest words, as Smallsight does unless told otherwise."""
    body = {"messages": messages, "max_tokens": max_tokens, "temperature": 0}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    return httpx2.post(url, json=body, timeout=60, trust_env=False).json()


def test_it_answers_whole_and_streamed_with_its_own_usage(here: Server, folder: Path, port: int):
    with llama_server(folder, port, sees=False):
        expected = directly(port, HELLO, 12)
        told = here.ask(model="afar", messages=HELLO, max_tokens=12).json()
        assert told["model"] == "afar"
        assert text(told) == text(expected).strip() != ""
        for kind in ("prompt_tokens", "completion_tokens", "total_tokens"):
            assert told["usage"][kind] == expected["usage"][kind]
        assert told["choices"][0]["finish_reason"] == "length"
        said, chunks = streamed(here, model="afar", messages=HELLO, max_tokens=12)
        assert said == text(told)
        assert chunks[-1]["usage"]["completion_tokens"] == 12
        schema = {"type": "object", "properties": {"is": {"type": "boolean"}}, "required": ["is"]}
        form = {"type": "json_schema", "json_schema": {"name": "form", "schema": schema, "strict": True}}
        formed = here.ask(model="afar", messages=HELLO, max_tokens=300, response_format=form).json()
        assert isinstance(json.loads(text(formed))["is"], bool)
        listed = {one["id"]: one["owned_by"] for one in here.http.get("/v1/models").json()["data"]}
        assert {"afar": "remote", "alone": "remote"}.items() <= listed.items()


def test_it_sees_pictures(here: Server, folder: Path, port: int, tmp_path: Path):
    with llama_server(folder, port, sees=True):
        told = [here.ask(model="afar", messages=about(data_url(png(seed))), max_tokens=8) for seed in (1, 2)]
        answers = [one.json() for one in told]
        assert [one["model"] for one in answers] == ["afar", "afar"]
        assert text(answers[0]) != text(answers[1])
        assert text(answers[0]) == text(directly(port, PICTURE, 8)).strip()
        assert answers[0]["usage"]["prompt_tokens"] > directly(port, HELLO, 1)["usage"]["prompt_tokens"] + 16
        remotes = {"afar": {"base_url": f"http://127.0.0.1:{port}/v1"}}
        with smallsight.load("afar", settings=Settings(home=tmp_path / "other", remotes=remotes)) as model:
            assert model.ask(png(1), "What is this?", max_tokens=8).text == text(answers[0])


def test_what_it_cannot_see_it_says_and_goes_on_answering_others(here: Server, folder: Path, port: int):
    with llama_server(folder, port, sees=False):
        for _ in range(4):
            refused = here.ask(model="alone", messages=PICTURE, max_tokens=4)
            assert refused.status_code == 502
            error = refused.json()["error"]
            assert error["code"] == "remote_model"
            assert "image input is not supported" in error["message"]
        assert circuit(here, "alone") == "closed"
        assert here.ask(model="alone", messages=HELLO, max_tokens=4).status_code == 200
        assert here.ask(model="afar", messages=PICTURE, max_tokens=4).json()["model"] == "test"
        assert here.ask(model="afar", messages=HELLO, max_tokens=4).json()["model"] == "afar"
        long = here.ask(model="alone", messages=[{"role": "user", "content": "many words " * 1000}])
        assert long.status_code == 400
        assert "rejected the request" in long.json()["error"]["message"]


def test_a_model_here_answers_when_it_is_killed(here: Server, folder: Path, port: int):
    with llama_server(folder, port, sees=False) as process:
        assert here.ask(model="afar", messages=HELLO, max_tokens=4).json()["model"] == "afar"
        process.kill()
        process.wait(20)
        for _ in range(2):
            assert here.ask(model="afar", messages=HELLO, max_tokens=4).json()["model"] == "test"
        assert circuit(here) == "open"
        assert here.ask(model="alone", messages=HELLO, max_tokens=4).status_code == 502

"""Ollama's protocol and embeddings on a real server: what programs written for Ollama send and read."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

from local_hub import LocalHub, running_hub
from unit.conftest import small_model_files

from .serving import Server, png, running

PULLED = "SmolVLM-256M-Instruct"
PICTURE = base64.b64encode(png()).decode()
BALLOON = f"data:image/png;name=red-balloon.png;base64,{PICTURE}"
DURATIONS = {"total_duration", "load_duration", "prompt_eval_duration", "eval_duration"}


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with running_hub() as one:
        yield one


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, hub: LocalHub) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("ollama")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HUB_CACHE", str(root / "cache"))
        with running(root / "home", "--model", "test") as one:
            yield one


def post(server: Server, path: str, **body: Any) -> httpx2.Response:
    return server.http.post(f"/api/{path}", json=body)


def lines(response: httpx2.Response) -> list[dict[str, Any]]:
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def ask(server: Server, **body: Any) -> httpx2.Response:
    body.setdefault("messages", [{"role": "user", "content": "What?", "images": [BALLOON]}])
    return post(server, "chat", model="test", **body)


def loaded(server: Server) -> list[str]:
    return [one["name"] for one in server.http.get("/api/ps").json()["models"]]


def test_a_chat_streams_lines_by_default(server: Server):
    *parts, last = lines(ask(server))
    assert [part["message"] for part in parts] == [
        {"role": "assistant", "content": "red"},
        {"role": "assistant", "content": " balloon"},
    ]
    assert not any(part["done"] for part in parts)
    assert (last["done"], last["done_reason"], last["message"]["content"]) == (True, "stop", "")
    assert (last["prompt_eval_count"], last["eval_count"]) == (1, 2)
    assert all(last[name] > 0 for name in DURATIONS)


def test_a_chat_as_one_object(server: Server):
    answer = ask(server, stream=False, options={"num_predict": 1}).json()
    assert answer["message"] == {"role": "assistant", "content": "red"}
    assert (answer["done"], answer["done_reason"], answer["model"]) == (True, "length", "test")


def test_a_prompt_with_and_without_the_beginning_of_a_data_url(server: Server):
    for images, expected in ([BALLOON], "red balloon"), ([PICTURE], "picture without a name"):
        answer = post(server, "generate", model="TEST:latest", prompt="What?", images=images, stream=False)
        assert (answer.json()["response"], answer.json()["model"]) == (expected, "TEST:latest")
    only_a_picture = post(server, "generate", model="test", images=[BALLOON])
    assert "".join(one["response"] for one in lines(only_a_picture)) == "red balloon"


def test_json_is_read_whatever_the_content_type(server: Server):
    body = json.dumps({"model": "test", "prompt": "x", "stream": False})
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert server.http.post("/api/generate", content=body, headers=form).json()["response"] == "no picture"


def test_an_empty_request_loads_and_unloads(server: Server):
    assert post(server, "generate", model="test", keep_alive=0).json()["done_reason"] == "unload"
    server.wait_until(lambda: loaded(server) == [])
    assert post(server, "chat", model="test", messages=[], keep_alive="5m").json()["done_reason"] == "load"
    assert loaded(server) == ["test:latest"]


def test_a_model_goes_after_the_answer_if_it_is_kept_for_no_time(server: Server):
    assert ask(server, keep_alive=-1).status_code == 200
    assert loaded(server) == ["test:latest"]
    assert ask(server, keep_alive="0s", options={"seed": 5}).status_code == 200
    server.wait_until(lambda: loaded(server) == [])


def test_the_models_are_listed_and_shown(server: Server):
    names = [one["name"] for one in server.http.get("/api/tags").json()["models"]]
    assert {"Smallsight-tiny:latest", "all-MiniLM-L6-v2:latest"} <= set(names)
    for field in ("model", "name"):
        shown = post(server, "show", **{field: "smallsight-tiny:latest"}).json()
        assert shown["capabilities"] == ["completion", "vision"]
        assert shown["model_info"]["smolvlm.context_length"] == 2048
        assert shown["details"]["parameter_size"] == "6.45M"
    assert post(server, "show", model="all-minilm").json()["capabilities"] == ["embedding"]


def test_clients_compare_the_version(server: Server):
    version = server.http.get("/api/version").json()["version"]
    assert tuple(int(part) for part in version.split(".")) > (0, 12, 0)
    assert server.http.head("/api/version").status_code == 200
    assert server.http.head("/api/tags").status_code == 200


def test_a_model_that_is_here_is_pulled_at_once(server: Server):
    told = lines(post(server, "pull", model="smallsight-tiny"))
    assert [one["status"] for one in told][-1] == "success"
    assert post(server, "pull", name="all-minilm", stream=False).json() == {"status": "success"}


def test_a_model_is_downloaded_with_progress(server: Server, hub: LocalHub):
    hub.serve(f"HuggingFaceTB/{PULLED}", small_model_files(1_000_000))
    hub.misbehave(api_status=403)
    *_, last = lines(post(server, "pull", model=PULLED))
    assert "denied" in last["error"]
    hub.misbehave(delay_s=0.2)  # for each of 61 parts
    with server.http.stream("POST", "/api/pull", json={"model": PULLED}) as leaving:
        progress = (json.loads(line).get("completed", 0) for line in leaving.iter_lines())
        assert next(done for done in progress if done > 200_000) < 4_000_000
    told: list[dict[str, Any]] = []

    def has_succeeded() -> bool:  # while the first download ends, a second pull is told that it was cancelled
        told.clear()
        with server.http.stream("POST", "/api/pull", json={"model": f"{PULLED}:latest"}) as answer:
            for line in answer.iter_lines():
                told.append(json.loads(line))
                if len(hub.downloads("model.safetensors")) > 1:
                    hub.misbehave(delay_s=0.02)
        return told[-1] == {"status": "success"}

    server.wait_until(has_succeeded)
    assert told[0] == {"status": "pulling manifest"}
    layers = [one for one in told if "digest" in one]
    completed = [one["completed"] for one in layers]
    assert completed == sorted(completed)
    assert completed[-1] == layers[-1]["total"] > 4_000_000
    assert len(set(completed)) > 2
    assert len({one["digest"] for one in layers}) == 1
    assert hub.downloads("model.safetensors")[-1]["range"] is not None, "it continued where it had stopped"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("chat", {"model": "llava", "messages": [{"role": "user", "content": "x"}]}, 404, "llava"),
        ("chat", {"model": "test", "messages": "x"}, 400, "messages"),
        ("chat", {"model": "all-minilm", "messages": []}, 400, "only embeds texts"),
        ("generate", {"model": "test", "prompt": "x", "keep_alive": "soon"}, 400, "keep_alive"),
        ("generate", {"model": "test", "prompt": "x", "images": ["!!"]}, 400, "base64"),
        ("generate", {"model": "test", "prompt": "x", "images": ["/etc/passwd"]}, 415, "format"),
        (
            "generate",
            {"model": "test", "prompt": "x", "images": ["file:///etc/passwd"]},
            400,
            "cannot be read",
        ),
        ("generate", {"model": "test", "prompt": "x", "images": ["aGVsbG8="]}, 415, "picture"),
        ("generate", {"model": "test", "prompt": "x", "suffix": "y"}, 400, "suffix"),
        ("show", {}, 400, "names no model"),
        ("show", {"model": "llava"}, 404, "llava"),
        ("pull", {"model": "llava"}, 404, "llava"),
        ("embed", {"model": "test", "input": "x"}, 404, "embeds texts"),
        ("embed", {"model": "all-minilm", "input": [[1]]}, 400, "input"),
        ("embed", {"model": "all-minilm", "input": "x", "dimensions": 100}, 400, "384"),
        ("create", {"model": "x"}, 400, "models"),
        ("push", {"model": "x"}, 400, "models"),
        ("copy", {"source": "x"}, 400, "models"),
        ("nothing", {}, 404, "/api/nothing"),
    ],
)
def test_an_error_is_a_string(server: Server, path: str, body: dict[str, Any], status: int, words: str):
    answer = post(server, path, **body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    assert words in answer.json()["error"]


def test_other_methods_and_bodies_are_errors_too(server: Server):
    refused = server.http.request("DELETE", "/api/delete", json={"model": "test"})
    assert (refused.status_code, list(refused.json())) == (400, ["error"])
    for body in (b"", b"{", b"[]"):
        answer = server.http.post("/api/chat", content=body)
        assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_ollamas_embeddings(server: Server):
    answer = post(server, "embed", model="all-minilm", input=["a cat", "a kitten", "a tax form"]).json()
    cat, kitten, form = answer["embeddings"]
    assert len(cat) == 384
    assert sum(a * b for a, b in zip(cat, kitten, strict=True)) > 0.6
    assert sum(a * b for a, b in zip(cat, form, strict=True)) < 0.4
    assert answer["prompt_eval_count"] == 4 + 4 + 5
    old = post(server, "embeddings", model="all-MiniLM-L6-v2:latest", prompt="a cat").json()["embedding"]
    assert old == pytest.approx(cat, abs=0.02)
    assert post(server, "embed", model="all-minilm", input="").json()["embeddings"] == []
    long = post(server, "embed", model="all-minilm", input="word " * 400)
    assert long.json()["prompt_eval_count"] == 256
    long = post(server, "embed", model="all-minilm", input="word " * 400, truncate=False)
    assert (long.status_code, "256 tokens" in long.json()["error"]) == (400, True)


def test_the_text_model_is_kept_for_as_long_as_a_request_asks(server: Server):
    def embed(path: str, **body: Any) -> int:
        return post(server, path, model="all-minilm", input="a cat", prompt="a cat", **body).status_code

    def kept() -> list[str]:
        ps = server.http.get("/api/ps").json()["models"]
        return [one["expires_at"] for one in ps if one["name"] == "all-MiniLM-L6-v2:latest"]

    assert embed("embed", keep_alive="5m") == 200
    (soon,) = kept()
    assert embed("embeddings", keep_alive=-1) == 200
    assert kept()[0] > soon
    assert embed("embed", keep_alive=0) == 200
    server.wait_until(lambda: kept() == [])
    assert embed("embed") == 200, "it is loaded again"
    assert embed("embed", keep_alive="soon") == 400


def test_the_text_model_is_described_but_not_listed_with_models_that_answer(server: Server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        names = [one.id for one in client.models.list()]
        found = [client.models.retrieve(name) for name in ("all-MiniLM-L6-v2", "all-minilm")]
        with pytest.raises(openai.NotFoundError, match="use 'all-MiniLM-L6-v2'"):
            client.embeddings.create(model="text-embedding-3-small", input="a cat")
    assert "Smallsight-tiny" in names
    assert "all-MiniLM-L6-v2" not in names
    assert [(one.id, one.owned_by, one.model_dump()["max_model_len"]) for one in found] == [
        ("all-MiniLM-L6-v2", "sentence-transformers", 256)
    ] * 2


def test_openais_embeddings(server: Server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        asked = client.embeddings.create(model="all-MiniLM-L6-v2", input=["a cat", "a dog"])  # base64
        floats = client.embeddings.create(model="all-minilm", input="a cat", encoding_format="float")
        with pytest.raises(openai.BadRequestError) as caught:
            client.embeddings.create(model="all-minilm", input="a cat", dimensions=64)
    assert caught.value.param == "dimensions"
    assert [one.index for one in asked.data] == [0, 1]
    assert asked.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=0.02)
    assert (asked.usage.prompt_tokens, asked.usage.total_tokens) == (8, 8)
    raw = {"model": "all-minilm", "input": "a cat", "encoding_format": "base64"}
    written = server.http.post("/v1/embeddings", json=raw).json()["data"][0]["embedding"]
    assert struct.unpack("<384f", base64.b64decode(written)) == pytest.approx(floats.data[0].embedding)

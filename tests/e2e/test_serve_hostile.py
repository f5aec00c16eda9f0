"""Requests made to make a real server fail or stall: each gets an answer, and others are served meanwhile."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.http.api_keys import ApiKeys, Scope
from tiny_smolvlm import SHAPES, make_checkpoint

from .serving import Server, about, data_url, png, running

HALF = "\ud83d"
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
HELLO = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hostile")
    tiny = make_checkpoint(folder / "model", SHAPES[0])
    RegisteredModels(folder / "home" / "models.json").add(RegisteredModel("tiny", tiny, "smolvlm"))
    with running(folder / "home") as one:
        yield one


def post(server: Server, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    """Send JSON in ASCII, as JavaScript's clients do with half a character."""
    content = body if isinstance(body, bytes) else json.dumps({"model": "tiny"} | body).encode()
    answer = server.http.post(path, content=content, headers={"content-type": "application/json"})
    return answer.status_code, answer.json()


def picture(url: str) -> dict[str, Any]:
    return {"messages": about(url)}


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "a" + HALF}]}),
        (CHAT, {"messages": [{"role": "user", "content": "a" + HALF}], "stream": True}),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "text", "text": HALF}]}]}),
        (CHAT, {"messages": [{"role": "system", "content": HALF}, *HELLO]}),
        (CHAT, {"messages": [{"role": "us" + HALF, "content": "x"}]}),
        (CHAT, {"messages": HELLO, "model": "x" + HALF}),
        (CHAT, {"messages": HELLO, "stop": [HALF]}),
        (CHAT, {"messages": HELLO, "user": HALF}),
        (CHAT, {"messages": HELLO, "metadata": {HALF: HALF}}),
        (CHAT, {"messages": HELLO, "logit_bias": {HALF: 1}}),
        (CHAT, picture("data:image/png;base64," + HALF)),
        (CHAT, picture(HALF + "://x")),
        (CHAT, picture(f"data:image/png;name={HALF};base64,aGk=")),
        (CHAT, picture("data:image/png," + HALF)),
        (CHAT, {"messages": HELLO, "response_format": {"type": "json_schema", "json_schema": {HALF: 1}}}),
        (RESPONSES, {"input": "a" + HALF}),
        (RESPONSES, {"input": "a" + HALF, "stream": True}),
        (RESPONSES, {"input": "a", "instructions": HALF}),
        (RESPONSES, {"input": [{"role": "user", "content": HALF}]}),
        (RESPONSES, {"input": "a", "text": {"format": {"type": "json_schema", "schema": {"enum": [HALF]}}}}),
    ],
    ids=range(20),
)
def test_half_a_character_in_any_field_is_the_clients_mistake(server: Server, path: str, body: dict):
    status, answer = post(server, path, body)
    assert (status, answer["error"]["code"]) == (400, "invalid_text")
    assert "is not valid text" in answer["error"]["message"]


def test_a_whole_emoji_from_the_same_client_is_answered(server: Server):
    messages = [{"role": "user", "content": "\U0001f600"}]
    assert post(server, CHAT, {"messages": messages, "max_tokens": 2})[0] == 200


def test_millions_of_small_values_are_refused_before_they_are_parsed(server: Server):
    post(server, CHAT, {"messages": HELLO, "max_tokens": 1})
    before_bytes = server.resident_bytes()
    for values in (b"1,", b"[],", b'{"a":1},', b'"",'):
        body = b'{"messages":[{"role":"user","content":"x"}],"ignored":[' + values * 2_000_000 + b"1]}"
        with ThreadPoolExecutor(3) as threads:
            answers = [threads.submit(_sent, server, body) for _ in range(3)]
            assert server.http.get("/health/live").status_code == 200
            assert [answer.result() for answer in answers] == [413] * 3
    assert server.resident_bytes() - before_bytes < 64 * 1024**2


def _sent(server: Server, body: bytes) -> int:
    headers = {"content-type": "application/json"}
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=60) as client:
        try:
            return client.post(CHAT, content=body, headers=headers).status_code
        except (
            httpx2.WriteError,
            httpx2.ReadError,
        ):  # the answer came while the body was still being sent, and was lost
            return 413


def test_text_that_no_model_could_read_is_too_large(server: Server):
    status, answer = post(server, CHAT, {"messages": HELLO, "ignored": "a" * 3_000_000})
    assert (status, answer["error"]["code"]) == (413, "request_too_large")
    assert "too much text" in answer["error"]["message"]


def test_a_picture_may_be_larger_than_text(server: Server):
    large = data_url(b"\0" * 3_000_000)
    assert post(server, CHAT, {"messages": about(large)})[0] == 415


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 4}] * 900},
        {"messages": HELLO, "logit_bias": {str(i): "x" for i in range(60_000)}},
        {"messages": HELLO, "modalities": [1] * 100_000},
        {"messages": [1] * 100_000},
    ],
    ids=range(4),
)
def test_many_mistakes_are_one_sentence(server: Server, body: dict):
    status, answer = post(server, CHAT, body)
    assert (status, answer["error"]["code"]) == (400, "bad_request")
    assert len(answer["error"]["message"]) < 200


def test_a_schema_that_is_refused_keeps_nobody_waiting_twice(server: Server):
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"not": {}, "x-guidance": {}}}}
    for path, body in [
        (CHAT, {"messages": HELLO, "n": 8, "response_format": form}),
        (RESPONSES, {"input": "a", "text": {"format": {"type": "json_schema", "schema": {"not": {}}}}}),
    ]:
        status, answer = post(server, path, body)
        assert (status, answer["error"]["code"]) == (400, "unsupported_value")
        assert "Unimplemented keys" in answer["error"]["message"]


def test_eight_choices_hold_to_one_schema(server: Server):
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"enum": ["cat", "dog"]}}}
    body = {"messages": HELLO, "n": 8, "max_tokens": 20, "temperature": 1, "response_format": form}
    status, answer = post(server, CHAT, body)
    assert status == 200
    assert len(answer["choices"]) == 8
    assert {one["message"]["content"] for one in answer["choices"]} <= {'"cat"', '"dog"'}


def test_silent_connections_do_not_keep_others_out(tmp_path: Path):
    limited = ["bash", "-c", 'ulimit -n 128; exec "$0" "$@"']
    with running(tmp_path / "home", prefix=limited, server__header_timeout_s="60") as server:
        before = len(server.log.read_text().splitlines())
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
        try:
            for _ in range(20):
                answer = httpx2.get(f"{server.url}/health/live", trust_env=False, timeout=60)
                assert answer.status_code == 200
            assert server.ask(model="test", messages=about(data_url())).status_code == 200
        finally:
            for one in silent:
                one.close()
        lines = server.log.read_text().splitlines()[before:]
        assert len([line for line in lines if "route=" not in line]) <= 20
        assert any("too_many_connections" in line for line in lines)


@pytest.mark.parametrize(
    "lines",
    [
        ["Authorization: Bearer a", "Authorization: Bearer b"],
        ["Origin: http://localhost", "Origin: http://localhost"],
        ["Content-Length: 2", "Transfer-Encoding: chunked"],
        ["Content-Length: 2", "Content-Length: 3"],
    ],
    ids=range(4),
)
def test_headers_that_two_servers_may_read_differently_are_refused(server: Server, lines: list[str]):
    head = ["POST /v1/chat/completions HTTP/1.1", "Host: localhost", "Connection: close", *lines]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(("\r\n".join(head) + "\r\n\r\n{}").encode())
        assert connection.recv(12) == b"HTTP/1.1 400"


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/openai/v1/chat/completions", CHAT),
        ("/completions/", CHAT),
        ("/openai/v1/responses", RESPONSES),
        ("/v1/completions", None),
        ("/chat/api", None),
        ("//", None),
    ],
)
def test_a_path_that_is_nearly_right_gets_a_hint(server: Server, path: str, known: str | None):
    answer = server.http.post(f"{server.url}{path}", json={})
    assert answer.status_code == 404
    message = answer.json()["error"]["message"]
    assert (f"hint: the route is {known}." in message) == (known is not None)
    assert ("hint:" in message) == (known is not None)


def test_the_conventions_of_other_clients(server: Server):
    some = {"max_tokens": 2, "messages": HELLO}
    assert post(server, CHAT, some | {"top_k": -1})[0] == 200
    assert post(server, CHAT, some | {"messages": [{"role": "user", "content": []}]})[0] == 200
    safe = data_url(png(seed=3)).replace("+", "-").replace("/", "_").replace("image_png", "image/png")
    assert post(server, CHAT, some | {"messages": about(safe)})[0] == 200
    assert post(server, CHAT, {"messages": HELLO, "max_tokens": -1, "stop": ["a", "e", "i", " "]})[0] == 200


def test_the_log_names_the_key_and_nothing_else_of_it(tmp_path: Path):
    key = ApiKeys(tmp_path / "home" / "api-keys.json").add("my phone", frozenset(Scope))
    with running(tmp_path / "home") as server:
        headers = {"authorization": f"Bearer {key}"}
        for path in ("/v1/models", "/metrics"):
            assert server.http.get(path, headers=headers).status_code == 200
        assert server.http.get("/v1/models", headers={"authorization": "Bearer ss-wrong"}).status_code == 401
    lines = [line for line in server.log.read_text().splitlines() if "route=" in line]
    assert ["my phone" in line for line in lines] == [True, True, False]
    assert key not in server.log.read_text()

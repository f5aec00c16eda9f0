"""What keeps strangers out of a real server, and what keeps it answering."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from forked_commands import run_command
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.http.api_keys import ApiKeys, Scope
from tiny_smolvlm import SHAPES, make_checkpoint

from .serving import Server, about, running

LONG = {"model": "tiny", "max_tokens": 1900}  # two or three seconds


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "model", SHAPES[0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("walls") / "home"
    RegisteredModels(home / "models.json").add(RegisteredModel("tiny", tiny, "smolvlm"))
    bounds = {"max_body_bytes": "200000", "body_timeout_s": "1", "header_timeout_s": "1", "max_requests": "3"}
    bounds["result_cache_bytes"] = "0"  # what is asked again takes its time again
    with running(home, threads="1", **{f"server__{name}": value for name, value in bounds.items()}) as one:
        yield one


def raw(server: Server, data: bytes, seconds: float = 60) -> bytes:
    """Send bytes and return all that comes back before the server closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        connection.sendall(data)
        received = b""
        with suppress(ConnectionResetError):  # it closes while more lies unread than it wants
            while chunk := connection.recv(65536):
                received += chunk
    return received


def head(*lines: str, body: int = 0) -> bytes:
    first = "POST /v1/chat/completions HTTP/1.1"
    length = [f"Content-Length: {body}"] if body else []
    return ("\r\n".join([first, *lines, *length, "Connection: close"]) + "\r\n\r\n").encode()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("[::1]:80", 200),
        ("192.168.7.7", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("127.0.0.1.evil.example", 400),
        ("a@localhost", 400),
        ("", 400),
        ("localhost:99999999", 400),
    ],
)
def test_a_foreign_name_is_turned_away(server: Server, host: str, status: int):
    answer = server.http.get("/health/live", headers={"host": host})
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["error"]["code"] == "bad_request"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "{own}"}, 200),
        ({"origin": "{own}", "sec-fetch-site": "cross-site"}, 403),
    ],
    ids=str,
)
def test_a_page_of_another_site_may_not_ask(server: Server, headers: dict[str, str], status: int):
    headers = {name: value.replace("{own}", server.url) for name, value in headers.items()}
    answer = server.http.post(
        "/v1/chat/completions", json={"model": "test", "messages": about()}, headers=headers
    )
    assert answer.status_code == status


def test_a_body_that_says_it_is_too_large_is_refused_unread(server: Server):
    answer = raw(server, head("Host: localhost", "Content-Type: application/json", body=10**9))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"request_too_large"' in answer


def test_a_body_that_does_not_say_it_is_cut_off(server: Server):
    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 10_000

    answer = server.http.post(
        "/v1/chat/completions", content=chunks(), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413


def test_slow_bodies_and_heads_are_cut_off(server: Server):
    """All at once: each takes as long as the server waits."""
    whole = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    slow = {
        "a body": head("Host: localhost", "Content-Type: application/json", body=1000) + b"{",
        "nothing": b"",
        "a line of a head": b"GET / HTTP/1.1\r\n",
        "a part of a line": b"GET / HT",
        "a second head": whole + b"GET / HT",
    }
    with ThreadPoolExecutor(len(slow)) as senders:
        answers = dict(zip(slow, senders.map(lambda data: raw(server, data), slow.values()), strict=True))
    assert answers.pop("a body").startswith(b"HTTP/1.1 408 ")
    assert answers.pop("a second head").count(b"HTTP/1.1 200") == 1
    assert set(answers.values()) == {b""}


def test_a_huge_head_is_refused(server: Server):
    answer = raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 4")


def test_what_is_not_http_is_refused(server: Server):
    assert raw(server, b"\x00\x01\x02\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_too_many_at_once_are_told_to_come_back(server: Server):
    with ExitStack() as held:
        streams = [held.enter_context(streaming(server, **LONG, n=4)).iter_raw() for _ in range(3)]
        for pieces in streams:
            next(pieces)
        refused = [server.ask(**LONG) for _ in range(5)]
        assert {answer.status_code for answer in refused} == {429}
        assert {int(answer.headers["retry-after"]) for answer in refused} == {1}
        assert {answer.json()["error"]["type"] for answer in refused} == {"rate_limit_error"}
    server.wait_until(lambda: server.health()["requests_under_way"] == 0)
    assert server.ask(model="tiny", max_tokens=1).status_code == 200


def streaming(server: Server, **body: Any) -> AbstractContextManager[httpx2.Response]:
    body = {"messages": [{"role": "user", "content": "hello"}], **body, "stream": True}
    return server.http.stream("POST", "/v1/chat/completions", json=body)


def made_tokens(server: Server) -> float:
    """Return how many tokens of answers the model has made since the server began."""
    line = r'^smallsight_tokens_total\{kind="completion",model="tiny"\} (\S+)$'
    found = re.search(line, server.http.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("streams", [True, False])
def test_an_answer_ends_when_its_client_leaves(server: Server, streams: bool):
    server.ask(model="tiny", max_tokens=1)
    before = made_tokens(server)
    body = json.dumps({**LONG, "stream": streams, "n": 2, "messages": [{"role": "user", "content": "hello"}]})
    request = head("Host: localhost", "Content-Type: application/json", body=len(body)) + body.encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request)
        server.wait_until(lambda: server.health()["requests_under_way"] == 1)
        if streams:
            connection.recv(1000)
    server.wait_until(lambda: server.health()["requests_under_way"] == 0)
    assert server.ask(model="tiny", max_tokens=1).status_code == 200
    assert made_tokens(server) - before < 2 * 1900, "both answers went on to their ends"


def test_a_server_that_stops_finishes_what_it_has(tmp_path: Path, tiny: Path):
    home = tmp_path / "home"
    RegisteredModels(home / "models.json").add(RegisteredModel("tiny", tiny, "smolvlm"))
    with running(home, threads="1") as server:
        server.ask(model="tiny", max_tokens=1)
        answers: list[httpx2.Response] = []
        thread = threading.Thread(target=lambda: answers.append(server.ask(**LONG)))
        kept = httpx2.Client(base_url=server.url, trust_env=False)
        kept.get("/health/live")
        thread.start()
        server.wait_until(lambda: server.health()["requests_under_way"] == 1)
        os.kill(server.process.pid, signal.SIGTERM)
        thread.join()
        assert answers[0].status_code == 200
        assert answers[0].json()["usage"]["completion_tokens"] == 1900
        with pytest.raises(httpx2.TransportError):
            httpx2.get(f"{server.url}/health/live", trust_env=False)
        kept.close()
        assert server.process.wait(60) == 0


def is_refused(server: Server) -> bool:
    """Return whether the first signal has been heard: nobody is let in any more."""
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=60).close()
    except ConnectionError:
        return True
    return False


def test_a_second_signal_ends_it_at_once(tmp_path: Path, tiny: Path):
    home = tmp_path / "home"
    RegisteredModels(home / "models.json").add(RegisteredModel("tiny", tiny, "smolvlm"))
    with (
        running(home, threads="1", server__drain_timeout_s="600") as server,
        streaming(server, **LONG, n=8) as stream,
    ):
        pieces = stream.iter_raw()
        next(pieces)
        os.kill(server.process.pid, signal.SIGTERM)
        server.wait_until(lambda: is_refused(server))
        os.kill(server.process.pid, signal.SIGINT)
        assert server.process.wait(60) == 0
        with pytest.raises(httpx2.TransportError):  # cut off, not finished
            list(pieces)


def test_listening_to_the_network_takes_a_key(tmp_path: Path):
    environment = {**os.environ, "SMALLSIGHT_HOME": str(tmp_path / "home")}
    code, _, err = run_command(["serve", "--host", "0.0.0.0", "--port", "0"], environment, timeout_s=60)
    assert code == 2
    assert "error: Refusing to listen on 0.0.0.0 without an API key or a password." in err
    assert "smallsight keys add" in err


def test_keys_and_their_scopes(tmp_path: Path):
    keys = ApiKeys(tmp_path / "home" / "api-keys.json")
    user = keys.add("user", frozenset({Scope.USE}))
    monitor = keys.add("monitor", frozenset({Scope.MONITOR}))
    with running(tmp_path / "home", "--host", "0.0.0.0") as server:
        where = f"http://127.0.0.1:{server.port}"

        def status(path: str, key: str | None = None, **more: str) -> int:
            headers = {**more, **({} if key is None else {"authorization": f"Bearer {key}"})}
            return httpx2.get(where + path, headers=headers, trust_env=False).status_code

        assert [status(path) for path in ("/health/live", "/health/ready", "/", "/docs")] == [200] * 4
        assert status("/v1/models") == 401
        assert status("/v1/models", "ss-wrong") == 401
        assert status("/v1/models", authorization=f"Basic {user}") == 401
        assert status(f"/v1/models?key={user}") == 401
        assert (status("/v1/models", user), status("/metrics", user)) == (200, 403)
        assert (status("/v1/models", monitor), status("/metrics", monitor)) == (403, 200)
        refused = httpx2.get(f"{where}/v1/models", trust_env=False)
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["error"]["type"] == "authentication_error"
        keys.remove("user")
        assert status("/v1/models", user) == 401
        keys.remove("monitor")
        assert status("/v1/models", monitor) == 401, "the last key gone does not open it to the network"
        assert user not in server.log.read_text()
        assert user not in (tmp_path / "home" / "api-keys.json").read_text()


def test_a_server_on_loopback_that_had_keys_stays_closed_without_them(tmp_path: Path):
    path = tmp_path / "home" / "api-keys.json"
    key = ApiKeys(path).add("only", frozenset(Scope))
    with running(tmp_path / "home") as server:

        def status(**headers: str) -> int:
            return server.http.get("/v1/models", headers=headers).status_code

        assert (status(), status(authorization=f"Bearer {key}")) == (401, 200)
        ApiKeys(path).remove("only")
        assert (status(), status(authorization=f"Bearer {key}")) == (401, 401)
        path.write_text("{}")
        assert status() == 500
        path.unlink()
        assert (status(), status(authorization=f"Bearer {key}")) == (401, 401)
        another = ApiKeys(path).add("another", frozenset(Scope))
        assert (status(), status(authorization=f"Bearer {another}")) == (401, 200)


def test_a_key_may_be_required_on_loopback_too(tmp_path: Path):
    home = tmp_path / "home"
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home), "SMALLSIGHT_SERVER__REQUIRE_KEY": "true"}
    code, _, err = run_command(["serve", "--port", "0"], environment, timeout_s=60)
    assert code == 2
    assert err.startswith("error: Refusing to start without an API key: there is none in ")
    key = ApiKeys(home / "api-keys.json").add("only", frozenset(Scope))
    with running(home, server__require_key="true") as server:
        assert server.http.get("/v1/models").status_code == 401
        (home / "api-keys.json").unlink()
        assert server.http.get("/v1/models").status_code == 401
        assert server.http.get("/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 401


@pytest.mark.parametrize("name", ["server__allowed_hosts", "server__allowed_origins"])
def test_names_for_others_without_a_key_are_warned_of(tmp_path: Path, name: str):
    with running(tmp_path / "home", **{name: '["https://chat.example"]'}) as server:
        assert server.http.get("/v1/models").status_code == 200
    assert server.log.read_text().count("no_key_for_other_clients") == 1
    ApiKeys(tmp_path / "home" / "api-keys.json").add("only", frozenset(Scope))
    with running(tmp_path / "home", **{name: '["https://chat.example"]'}) as server:
        pass
    assert "no_key_for_other_clients" not in server.log.read_text()

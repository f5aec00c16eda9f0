"""What the server writes down about strangers, and how much of what they sent it repeats."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from smallsight.http.api_keys import ApiKeys, Scope

from .serving import Server, about, data_url, running

ORIGIN = "https://gallery.example"
LONG = "m" * 5000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(
        tmp_path_factory.mktemp("strangers") / "home", server__allowed_origins=f'["{ORIGIN}"]'
    ) as one:
        yield one


def send(server: Server, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(data)
        return connection.recv(1000)


def test_what_is_not_http_is_logged_with_its_address_and_not_often(tmp_path: Path):
    attempts = [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n"]
    with running(tmp_path / "home") as server:
        for attempt in attempts * 30:
            assert send(server, attempt).startswith(b"HTTP/1.1 400 ")
    lines = server.log.read_text().splitlines()
    own = [line for line in lines if "request_not_http" in line]
    assert 1 <= len(own) <= 3
    assert all("client=127.0.0.1" in line for line in own)
    assert len([line for line in lines if "Invalid HTTP" in line]) <= 3


def test_failed_keys_are_counted_and_logged_without_them(tmp_path: Path):
    keys = ApiKeys(tmp_path / "home" / "api-keys.json")
    user = keys.add("user", frozenset({Scope.USE}))
    monitor = keys.add("monitor", frozenset({Scope.MONITOR}))

    def status(path: str, key: str | None) -> int:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return httpx2.get(server.url + path, headers=headers, trust_env=False).status_code

    with running(tmp_path / "home") as server:
        assert {status("/v1/models", f"ss-guess-{number}") for number in range(40)} == {401}
        assert {status("/v1/models", None) for _ in range(3)} == {401}
        assert [status("/metrics", user), status("/metrics", monitor)] == [403, 200]
        metrics = httpx2.get(
            f"{server.url}/metrics", headers={"authorization": f"Bearer {monitor}"}, trust_env=False
        ).text
    found = dict(re.findall(r'^smallsight_refused_keys_total\{kind="(\w+)"\} (\S+)$', metrics, re.MULTILINE))
    assert {kind: float(number) for kind, number in found.items()} == {
        "missing": 3,
        "unknown": 40,
        "scope": 1,
    }
    lines = [line for line in server.log.read_text().splitlines() if "key_refused" in line]
    assert 1 <= len(lines) <= 3
    assert "client=127.0.0.1" in lines[0]
    assert "ss-guess" not in server.log.read_text()


def long_requests() -> dict[str, tuple[str, str, dict | None]]:
    hello = [{"role": "user", "content": "x"}]
    chat = {
        "model": {"model": LONG},
        "model with spaces": {"model": "a b " * 70},
        "role": {"messages": [{"role": LONG, "content": "x"}]},
        "type": {"messages": [{"role": "user", "content": [{"type": LONG}]}]},
        "url": {"messages": about("https://" + LONG + ".example/x")},
        "no url": {"messages": about(LONG)},
        "format": {"messages": hello, "response_format": {"type": LONG}},
        "key": {"messages": hello, "logit_bias": {LONG: 1}},
        "number": {"messages": hello, "n": LONG},
        "metadata": {"messages": hello, "metadata": {LONG: {LONG: 1}}},
        "effort": {"messages": hello, "reasoning_effort": LONG, "verbosity": LONG, "seed": LONG},
    }
    found: dict[str, tuple[str, str, dict | None]] = {
        name: ("POST", "/v1/chat/completions", {"model": "test", "messages": about(data_url())} | body)
        for name, body in chat.items()
    }
    found["a response's model"] = ("POST", "/v1/responses", {"model": LONG, "input": "x"})
    found["a path"] = ("GET", f"/{LONG}", None)
    found["a model's path"] = ("GET", f"/v1/models/{LONG}", None)
    found["a model's path with spaces"] = ("GET", "/v1/models/" + "a%20" * 1200, None)
    found["a method"] = (LONG, "/", None)
    return found


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("name", long_requests())
def test_long_names_are_cut_in_errors(server: Server, name: str):
    method, path, body = long_requests()[name]
    answer = server.http.request(method, path, json=body)
    if answer.status_code == 200:
        assert name in ("metadata", "effort")  # ignored
        return
    assert 400 <= answer.status_code < 500
    assert len(answer.json()["error"]["message"]) < 500
    assert len(answer.text) < 800
    assert LONG not in server.log.read_text()


def preflight(server: Server, origin: str, **headers: str) -> httpx2.Response:
    asked = {"origin": origin, "access-control-request-method": "POST", **headers}
    return server.http.options("/v1/chat/completions", headers=asked)


def test_a_private_network_preflight_is_for_allowed_origins(server: Server):
    """A page on the internet that asks a server at home: browsers ask for this permission first."""
    wants = {"access-control-request-private-network": "true"}
    allowed = preflight(server, ORIGIN, **wants)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert allowed.headers["access-control-allow-private-network"] == "true"
    assert "access-control-allow-private-network" not in preflight(server, ORIGIN).headers
    refused = preflight(server, "https://evil.example", **wants)
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers

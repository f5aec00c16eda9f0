"""Requests whose target is a whole URL, as clients send them that believe to speak to a proxy."""

from __future__ import annotations

import asyncio

import pytest

from smallsight.http.absolute_form import AbsoluteForm


def forwarded(target: bytes, kind: str = "http") -> dict:
    """Return the scope that the application inside gets."""
    seen: list[dict] = []

    async def inside(scope, _receive, _send) -> None:
        seen.append(scope)

    path = target.partition(b"?")[0]
    scope = {
        "type": kind,
        "path": path.decode(),
        "raw_path": path,
        "query_string": target.partition(b"?")[2],
        "headers": [(b"accept", b"*/*"), (b"host", b"127.0.0.1:8420")],
    }
    asyncio.run(AbsoluteForm(inside)(scope, None, None))
    return seen[0]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://localhost:8420/v1/models", "/v1/models", b"localhost:8420"),
        (b"HTTP://LOCALHOST/v1/models?a=http://b/c", "/v1/models", b"LOCALHOST"),
        (b"https://[::1]:8420/app/%C3%A4%2Fb", "/app/ä/b", b"[::1]:8420"),
        (b"http://evil.example", "/", b"evil.example"),
        (b"http:///health", "/health", b""),
    ],
)
def test_its_path_and_its_host_count(target: bytes, path: str, host: bytes, kind: str):
    scope = forwarded(target, kind)
    assert scope["path"] == path
    assert [value for name, value in scope["headers"] if name == b"host"] == [host]
    assert scope["query_string"] == target.partition(b"?")[2]


@pytest.mark.parametrize("target", [b"/http://localhost/health", b"//localhost/health", b"/health", b"*"])
def test_other_targets_are_left_alone(target: bytes):
    scope = forwarded(target)
    assert scope["path"] == target.decode()
    assert (b"host", b"127.0.0.1:8420") in scope["headers"]

"""Streamed answers over real connections: framed by us where h11 would chunk them, by h11 where not."""

from __future__ import annotations

import socket

import pytest

from .loopback import serving

_PARTS = (b"one ", b"", b"two ", b"x" * 70_000)


async def answer(scope, receive, send) -> None:
    """Answer in parts; with a length at /known, and with 204 at /nothing."""
    headers = [(b"Content-Length", b"%d" % sum(map(len, _PARTS)))] if scope["path"] == "/known" else []
    status = 204 if scope["path"] == "/nothing" else 200
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for part in () if status == 204 else _PARTS:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def ask(port: int, line: str, *, then: str = "") -> bytes:
    """Return everything that the server sends to a request, and to one more that ends the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(f"{line}\r\nhost: a\r\n\r\n".encode())
        if then:
            client.sendall(f"{then}\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        received = b""
        while more := client.recv(65536):
            received += more
    return received


def unchunked(body: bytes) -> tuple[list[bytes], bytes]:
    """Return the chunks of a body, and what follows it."""
    chunks = []
    while True:
        size, _, body = body.partition(b"\r\n")
        chunk, end, body = body[: int(size, 16)], body[int(size, 16) :][:2], body[int(size, 16) + 2 :]
        assert end == b"\r\n"
        if not chunk:
            return chunks, body
        chunks.append(chunk)


@pytest.fixture(scope="module")
def port():
    with serving(answer, "none") as port:
        yield port


def test_parts_are_chunks_and_the_connection_stays_usable(port: int):
    received = ask(port, "GET / HTTP/1.1", then="POST / HTTP/1.1")
    for _ in range(2):
        head, _, rest = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"transfer-encoding: chunked" in head.lower()
        chunks, received = unchunked(rest)
        assert chunks == [part for part in _PARTS if part]
    assert received == b""


@pytest.mark.parametrize("line", ["GET / HTTP/1.0", "GET /known HTTP/1.1"])
def test_answers_without_chunks_are_their_bytes(port: int, line: str):
    then = "" if line.endswith("1.0") else "GET /nothing HTTP/1.1"
    head, _, rest = ask(port, line, then=then).partition(b"\r\n\r\n")
    whole = b"".join(_PARTS)
    assert b"chunked" not in head
    assert rest[: len(whole)] == whole
    assert rest[len(whole) :].startswith(b"HTTP/1.1 204") == bool(then)


def test_heads_have_no_body(port: int):
    received = ask(port, "HEAD / HTTP/1.1", then="HEAD /nothing HTTP/1.1")
    heads = received.split(b"\r\n\r\n")
    assert [head[:12] for head in heads] == [b"HTTP/1.1 200", b"HTTP/1.1 204", b""]

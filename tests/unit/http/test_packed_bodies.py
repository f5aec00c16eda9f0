"""Bodies in gzip and deflate, with the limit of bodies inside as in a server."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable

import pytest

from smallsight.http.packed_bodies import PackedBodies
from smallsight.http.request_limit import RequestLimit

from .plain_errors import PLAIN

LIMIT = 1_000_000
BODY = b'{"words": "' + b"cat and dog " * 60_000 + b'"}'


async def echo(_, receive, send) -> None:
    """Answer with the body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def arriving(body: bytes, chunk_bytes: int) -> Callable[[], Awaitable[dict]]:
    left = [body[start : start + chunk_bytes] for start in range(0, len(body), chunk_bytes)] or [b""]

    async def receive() -> dict:
        if not left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return receive


def ask(body: bytes, encoding: str, chunk_bytes: int = 10_000) -> tuple[int, bytes, dict[str, str]]:
    app = PackedBodies(RequestLimit(echo, PLAIN, max_bytes=LIMIT, timeout_s=10), PLAIN)
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    headers = [(b"content-encoding", encoding.encode()), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "method": "POST", "headers": headers, "path": "/", "raw_path": b"/"}
    asyncio.run(app({**scope, "query_string": b""}, arriving(body, chunk_bytes), send))
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent[1:]), answered


@pytest.mark.parametrize("chunk_bytes", [1, 1000, 10_000_000])
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("identity, x-gzip", gzip.compress),
        ("deflate", zlib.compress),
    ],
)
def test_a_packed_body_is_read_as_it_was(encoding: str, pack, chunk_bytes: int):
    assert ask(pack(BODY), encoding, chunk_bytes)[:2] == (200, BODY)


def test_a_plain_body_may_be_called_so():
    assert ask(BODY, "identity")[:2] == (200, BODY)


def test_members_that_follow_each_other_are_one_body():
    assert ask(gzip.compress(BODY[:99]) + gzip.compress(BODY[99:]), "gzip")[:2] == (200, BODY)


def test_no_body_is_no_body():
    assert ask(b"", "gzip")[:2] == (200, b"")
    assert ask(gzip.compress(b""), "gzip")[:2] == (200, b"")


def test_the_limit_counts_what_is_unpacked():
    status, words, _ = ask(gzip.compress(bytes(100 * LIMIT)), "gzip")
    assert status == 413
    assert b"too large" in words


@pytest.mark.parametrize("body", [BODY, gzip.compress(BODY)[:-9], gzip.compress(BODY)[:400], b"\x1f\x8b"])
def test_what_cannot_be_unpacked_is_said(body: bytes):
    status, words, headers = ask(body, "gzip")
    assert status == 400
    assert b"The body is not gzip, or cut short." in words
    assert headers["connection"] == "close"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_other_packings_are_refused_with_those_that_are_read(encoding: str):
    status, words, headers = ask(b"...", encoding)
    assert status == 415
    assert f"Content-Encoding {encoding} is not read" in words.decode()
    assert headers["accept-encoding"] == "gzip, deflate"

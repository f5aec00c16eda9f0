"""Bodies one by one and all together, with an application that only reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from clocks import GENEROUS_S
from smallsight.http.request_limit import MAX_STRUCTURAL, RequestLimit

from .plain_errors import PLAIN

LIMIT = 1000


class Reader:
    """Reads a body to its end, then holds it until told."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.release = asyncio.Event()

    async def __call__(self, _, receive, send) -> None:
        num_bytes, more = 0, True
        while more:
            message = await receive()
            num_bytes += len(message.get("body", b""))
            more = message.get("more_body", False)
        self.read.append(num_bytes)
        await self.release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


def arriving(*chunks: bytes, ends: bool = True) -> Callable[[], Awaitable[dict]]:
    left = list(chunks)

    async def receive() -> dict:
        await asyncio.sleep(0)
        if not left:
            return await asyncio.Future()
        body = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(left) or not ends}

    return receive


async def ask(app: RequestLimit, receive, headers: list[tuple[bytes, bytes]] = []) -> tuple[int, str, dict]:  # noqa: B006
    sent = []

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": headers, "path": "/", "raw_path": b"/", "query_string": b""}
    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], sent[1]["body"].decode(), headers


def run(work, timeout_s: float = GENEROUS_S) -> None:
    async def go() -> None:
        reader = Reader()
        app = RequestLimit(reader, PLAIN, max_bytes=LIMIT, timeout_s=timeout_s)
        await asyncio.wait_for(work(app, reader), GENEROUS_S)

    asyncio.run(go())


def test_up_to_the_limit_and_not_a_byte_more():
    async def work(app: RequestLimit, reader: Reader) -> None:
        reader.release.set()
        assert (await ask(app, arriving(b"a" * 400, b"a" * 600)))[0] == 200
        status, body, headers = await ask(app, arriving(b"a" * 400, b"a" * 601))
        assert (status, body.partition(":")[0], headers["connection"]) == (413, "request_too_large", "close")
        assert reader.read == [1000]

    run(work)


def test_what_announces_too_much_is_not_read():
    async def work(app: RequestLimit, reader: Reader) -> None:
        for announced in (b"1001", b"9" * 5000):
            status, body, _ = await ask(app, arriving(b""), [(b"content-length", announced)])
            assert (status, body.partition(":")[0]) == (413, "request_too_large")
        assert reader.read == []

    run(work)


def test_what_takes_too_long_is_cut_off():
    async def work(app: RequestLimit, reader: Reader) -> None:
        status, body, _ = await ask(app, arriving(b"a", b"a", ends=False))
        assert (status, body.partition(":")[0]) == (408, "request_too_slow")

    run(work, timeout_s=0.05)


def test_a_large_head_that_came_whole_is_refused():
    async def work(app: RequestLimit, reader: Reader) -> None:
        status, body, _ = await ask(app, arriving(b""), [(b"x", b"a" * 40_000)])
        assert status == 413
        assert "head" in body

    run(work)


def test_all_bodies_together_are_bounded_until_their_answers_are_sent():
    async def work(app: RequestLimit, reader: Reader) -> None:
        held = [asyncio.create_task(ask(app, arriving(b"a" * LIMIT))) for _ in range(4)]
        while len(reader.read) < 4:
            await asyncio.sleep(0)
        status, body, headers = await ask(app, arriving(b"a"))
        assert (status, body.partition(":")[0]) == (429, "too_many_requests")
        assert headers["retry-after"] == "1"
        reader.release.set()
        assert [status for status, _, _ in await asyncio.gather(*held)] == [200] * 4
        assert (await ask(app, arriving(b"a" * LIMIT)))[0] == 200

    run(work)


JSON = [(b"content-type", b"application/json")]


def test_values_are_counted_while_a_body_arrives():
    async def go() -> None:
        reader = Reader()
        reader.release.set()
        app = RequestLimit(reader, PLAIN, max_bytes=10**8, timeout_s=GENEROUS_S)
        some = b"1," * (MAX_STRUCTURAL // 4)
        assert (await ask(app, arriving(some, some, some, some), JSON))[0] == 200
        for piece in (b"1,", b"[]", b'{"a":1}', b"[[", b'":"'):
            many = piece * (MAX_STRUCTURAL // 4 + 1)
            status, body, headers = await ask(app, arriving(*[many] * 4, *[b"a"] * 1000), JSON)
            assert (status, body.partition(":")[0]) == (413, "request_too_large")
            assert "too many values" in body
            assert headers["connection"] == "close"
        assert len(reader.read) == 1
        assert (await ask(app, arriving(*[some] * 8)))[0] == 200  # not JSON, so nothing parses it

    asyncio.run(go())


def test_what_values_will_take_when_parsed_is_charged():
    async def work(app: RequestLimit, reader: Reader) -> None:
        status, body, _ = await ask(app, arriving(b"[1,1,1,1,1,1,1,1,1,1]" * 5), JSON)
        assert (status, body.partition(":")[0]) == (429, "too_many_requests")
        reader.release.set()
        for _ in range(100):  # what was charged is given back
            assert (await ask(app, arriving(b"[1,1,1]"), JSON))[0] == 200

    run(work)

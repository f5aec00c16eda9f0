"""Streams that end, streams that fail, and clients that leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from smallsight.errors import SmallsightError
from smallsight.http.event_stream import (
    ClientLeftError,
    EventStream,
    event,
    while_connected,
    with_errors,
)


async def stays() -> dict[str, str]:
    await asyncio.sleep(100)
    return {"type": "http.disconnect"}


async def leaves() -> dict[str, str]:
    await asyncio.sleep(0.05)
    return {"type": "http.disconnect"}


async def numbers(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        await asyncio.sleep(0.01)
        yield event({"n": number})


def send_all(events: AsyncIterator[bytes], receive) -> tuple[list[dict], list[str]]:
    sent: list[dict] = []
    closed: list[str] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def go() -> None:
        until = AsyncExitStack()
        until.callback(closed.append, "closed")
        await EventStream(events, until)({}, receive, send)

    asyncio.run(asyncio.wait_for(go(), 10))
    return sent, closed


def test_events_and_an_end():
    sent, closed = send_all(numbers(2), stays)
    assert [message.get("body") for message in sent] == [
        None,
        b'data: {"n":0}\n\n',
        b'data: {"n":1}\n\n',
        b"",
    ]
    assert not any(name == b"content-length" for name, _ in sent[0]["headers"])
    assert closed == ["closed"]


def test_a_client_that_leaves_ends_it_and_everything_is_given_back():
    sent, closed = send_all(numbers(1000), leaves)
    assert len(sent) < 20
    assert closed == ["closed"]


def test_an_error_in_the_midst_is_the_last_event():
    async def failing() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        raise SmallsightError("It failed.")

    def shape(error: SmallsightError) -> bytes:
        return event({"failed": error.code})

    sent, closed = send_all(with_errors(failing(), shape), stays)
    assert sent[-2]["body"] == b'data: {"failed":"internal"}\n\n'
    assert closed == ["closed"]


def test_everything_is_given_back_when_the_server_ends():
    closed: list[str] = []

    async def send(message: dict) -> None: ...

    async def go() -> None:
        until = AsyncExitStack()
        until.callback(closed.append, "closed")
        sending = asyncio.create_task(EventStream(numbers(1000), until)({}, stays, send))
        await asyncio.sleep(0.05)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    asyncio.run(go())
    assert closed == ["closed"]


def test_work_goes_on_while_the_client_is_there():
    async def work() -> int:
        await asyncio.sleep(0.02)
        return 5

    assert asyncio.run(while_connected(stays, work())) == 5


def test_work_is_given_up_when_it_is_not():
    given_up: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            given_up.append(True)

    with pytest.raises(ClientLeftError):
        asyncio.run(while_connected(leaves, work()))
    assert given_up == [True]


def test_text_that_utf8_cannot_write_is_escaped():
    assert event({"a": "\ud800ä"}, "name") == b'event: name\ndata: {"a":"\\ud800\\u00e4"}\n\n'

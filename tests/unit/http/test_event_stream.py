"""Streams that end, streams that fail, and clients that leave."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from clocks import GENEROUS_S
from smallsight.errors import SmallsightError
from smallsight.http.event_stream import (
    ClientLeftError,
    EventStream,
    event,
    while_connected,
    with_errors,
)


async def stays() -> dict[str, str]:
    return await asyncio.Future()


class Leaves:
    """A client that is gone once it is told so."""

    def __init__(self) -> None:
        self.is_gone = asyncio.Event()

    async def __call__(self) -> dict[str, str]:
        await self.is_gone.wait()
        return {"type": "http.disconnect"}


async def numbers(
    count: int | None = None, then: Callable[[int], object] = lambda _: None
) -> AsyncIterator[bytes]:
    """Yield events for ever or ``count`` of them; after each one others have their turn."""
    for number in itertools.count() if count is None else range(count):
        yield event({"n": number})
        then(number)
        await asyncio.sleep(0)


def send_all(events: AsyncIterator[bytes], receive) -> tuple[list[dict], list[str]]:
    sent: list[dict] = []
    closed: list[str] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def go() -> None:
        until = AsyncExitStack()
        until.callback(closed.append, "closed")
        await EventStream(events, until)({}, receive, send)

    asyncio.run(asyncio.wait_for(go(), GENEROUS_S))
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
    client = Leaves()
    sent, closed = send_all(
        numbers(then=lambda number: client.is_gone.set() if number == 3 else None), client
    )
    assert 5 <= len(sent) < 20
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

    async def go() -> None:
        has_begun = asyncio.Event()

        async def send(message: dict) -> None:
            has_begun.set()

        until = AsyncExitStack()
        until.callback(closed.append, "closed")
        sending = asyncio.create_task(EventStream(numbers(), until)({}, stays, send))
        await has_begun.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    asyncio.run(go())
    assert closed == ["closed"]


def test_work_goes_on_while_the_client_is_there():
    async def work() -> int:
        await asyncio.sleep(0)
        return 5

    assert asyncio.run(while_connected(stays, work())) == 5


def test_work_is_given_up_when_it_is_not():
    given_up: list[bool] = []
    client = Leaves()

    async def work() -> None:
        client.is_gone.set()
        try:
            await asyncio.Future()
        finally:
            given_up.append(True)

    with pytest.raises(ClientLeftError):
        asyncio.run(while_connected(client, work()))
    assert given_up == [True]


def test_text_that_utf8_cannot_write_is_escaped():
    assert event({"a": "\ud800ä"}, "name") == b'event: name\ndata: {"a":"\\ud800\\u00e4"}\n\n'

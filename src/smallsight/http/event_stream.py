"""Server-sent events: sends an answer as it is produced, and stops when the client disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from smallsight.errors import SmallsightError
from smallsight.http.json_response import compact_json
from smallsight.policy.log import get_logger

log = get_logger(__name__)

_Result = TypeVar("_Result")
PING = b": still here\n\n"
DONE = b"data: [DONE]\n\n"


class ClientLeftError(Exception):
    """The client closed the connection before its answer was complete. Tenants catch it."""


class EventStream(Response):
    """Sends events one by one, and closes ``until`` afterwards, on success and on failure."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], until: AsyncExitStack) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events = events
        self._until = until

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send everything, or stop when the client disconnects."""
        try:
            await while_connected(receive, self._send_all(send))
        except ClientLeftError:
            log.info("client_left_stream")
        finally:
            await self._until.aclose()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for event in self._events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def while_connected(receive: Receive, work: Awaitable[_Result]) -> _Result:
    """Return the result of the work; cancel it and raise ClientLeftError if the client disconnects first.

    The request's body must have been read before.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_until_disconnected(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientLeftError
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def event(data: dict[str, Any], name: str | None = None) -> bytes:
    """Encode one event; ``name`` is for protocols whose events have one."""
    line = f"event: {name}\n" if name else ""
    return f"{line}data: {compact_json(data)}\n\n".encode("ascii")


async def with_errors(
    events: AsyncIterator[bytes], shape: Callable[[SmallsightError], bytes]
) -> AsyncIterator[bytes]:
    """Yield events; an error becomes the last one, encoded by ``shape``, as the status is sent already."""
    try:
        async for one in events:
            yield one
    except SmallsightError as error:
        log.error("stream_failed", why=str(error))
        yield shape(error)

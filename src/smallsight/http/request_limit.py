"""Limits the size of requests and the time of their bodies; counts what arrives and trusts no headers."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smallsight.errors import RequestTooLargeError, RequestTooSlowError, ServerError, TooManyRequestsError
from smallsight.http.connection import MAX_HEAD_BYTES
from smallsight.http.error_shape import ErrorShapes, error_response
from smallsight.http.json_body import MAX_STRUCTURAL, is_json, num_structural, too_many_values

_BODIES_AT_ONCE = 4  # bodies of the maximum size; each is held until its response is sent
_PARSED_BYTES = 128  # of memory, for each structural character

MESSAGE_TOO_BIG = 1009  # RFC 6455, section 7.4.1
_DISCARD_BYTES, _DISCARD_S = 4 * 1024 * 1024, 1.0  # of a body over the limit


class RequestLimit:
    """An ASGI layer that limits a request's head and body, and a WebSocket's head and each message."""

    def __init__(self, app: ASGIApp, shapes: ErrorShapes, *, max_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._shapes = shapes
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._all = _AllBodies(_BODIES_AT_ONCE * max_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request with a limited body, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if _head_bytes(scope) > MAX_HEAD_BYTES:
            await self._refuse(_too_large("head", MAX_HEAD_BYTES), scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, _BoundedMessages(receive, send, self._max_bytes).receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > self._max_bytes:
            await self._refuse(_too_large("body", self._max_bytes), scope, receive, send)
            return
        body = _LimitedBody(
            receive,
            self._max_bytes,
            time.monotonic() + self._timeout_s,
            self._all,
            is_json=is_json(Headers(scope=scope).get("content-type", "")),
        )
        try:
            await self._app(scope, body.receive, send)
        except _OverLimit:
            await body.discard_some()
            await self._refuse(_too_large("body", self._max_bytes), scope, receive, send)
        except _TooManyValues:
            await body.discard_some()
            await self._refuse(too_many_values(), scope, receive, send)
        except _OverTime:
            await self._refuse(self._too_slow(), scope, receive, send)
        except _TooMuchAtOnce:
            await self._refuse(self._too_much_at_once(), scope, receive, send)
        finally:
            self._all.held_bytes -= body.charged_bytes

    async def _refuse(self, error: ServerError, scope: Scope, receive: Receive, send: Send) -> None:
        response = error_response(error, self._shapes.at(scope))
        response.headers["connection"] = "close"  # the rest of the body is not read
        await response(scope, receive, send)

    def _too_slow(self) -> ServerError:
        return RequestTooSlowError(
            f"The body took too long (limit {self._timeout_s:g} s).", hint="send it faster, or less of it."
        )

    def _too_much_at_once(self) -> ServerError:
        return TooManyRequestsError(
            "Too many large requests at once.",
            hint="ask again in a moment.",
            retry_after_s=1,
        )


def _head_bytes(scope: Scope) -> int:
    """Return the size of a complete head; the parser limits only incomplete ones."""
    lines = sum([len(name) + len(value) for name, value in scope["headers"]])
    return lines + len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))


def _too_large(what: str, max_bytes: int) -> ServerError:
    return RequestTooLargeError(
        f"The {what} of the request is too large (limit {max_bytes} bytes).",
        hint="send smaller pictures, or raise server.max_body_bytes." if what == "body" else None,
    )


class _OverLimit(BaseException):
    """The body is larger than its limit."""


class _TooManyValues(BaseException):
    """The JSON body has more values than its limit."""


class _OverTime(BaseException):
    """The body took longer than its limit."""


class _TooMuchAtOnce(BaseException):
    """All bodies together are over their limit."""


@dataclass(slots=True)
class _AllBodies:
    max_bytes: int
    held_bytes: int = 0


class _BoundedMessages:
    """Closes a WebSocket that receives a message over the limit; uvicorn limits only frames."""

    def __init__(self, receive: Receive, send: Send, max_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes

    async def receive(self) -> Message:
        """Return the next message, or a disconnect instead of one over the limit."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return message
        num_bytes = len(message.get("bytes") or b"") or len((message.get("text") or "").encode())
        if num_bytes <= self._max_bytes:
            return message
        await self._send({"type": "websocket.close", "code": MESSAGE_TOO_BIG, "reason": ""})
        return {"type": "websocket.disconnect", "code": MESSAGE_TOO_BIG}


class _LimitedBody:
    def __init__(
        self, receive: Receive, max_bytes: int, deadline_s: float, together: _AllBodies, *, is_json: bool
    ) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._deadline_s = deadline_s
        self._together = together
        self._has_ended = False
        self._is_json = is_json
        self._num_structural = 0
        self.num_bytes = 0
        self.charged_bytes = 0

    async def receive(self) -> Message:
        """Return the next message; after the body only a disconnect can follow, which has no deadline."""
        if self._has_ended:
            return await self._receive()
        try:
            async with asyncio.timeout(self._deadline_s - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            raise _OverTime from None
        if message["type"] == "http.request":
            self._count(message.get("body", b""))
            self._has_ended = not message.get("more_body", False)
            if self.num_bytes > self._max_bytes:
                raise _OverLimit
            if self._num_structural > MAX_STRUCTURAL:
                raise _TooManyValues
            if self._together.held_bytes > self._together.max_bytes:
                raise _TooMuchAtOnce
        return message

    def _count(self, chunk: bytes) -> None:
        """Count a part of the body, and charge its bytes and what its values will take when parsed."""
        num_values = num_structural(chunk) if self._is_json else 0
        charged_bytes = len(chunk) + _PARSED_BYTES * num_values
        self.num_bytes += len(chunk)
        self._num_structural += num_values
        self.charged_bytes += charged_bytes
        self._together.held_bytes += charged_bytes

    async def discard_some(self) -> None:
        """Read on briefly: a client that is cut off while sending may never see the response."""
        num_bytes = 0
        try:
            async with asyncio.timeout(_DISCARD_S):
                while not self._has_ended and num_bytes < _DISCARD_BYTES:
                    message = await self._receive()
                    num_bytes += len(message.get("body", b""))
                    self._has_ended = not message.get("more_body", False)
        except TimeoutError:
            return

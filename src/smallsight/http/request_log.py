"""The outermost layer: a request's id, its line in the log, its count, and the errors that nobody foresaw.

Nothing that a client sends is logged but its address, method and route; no headers, no bodies, no queries.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from smallsight.errors import SmallsightError
from smallsight.http.error_shape import ErrorShapes
from smallsight.http.handshake import SWITCHING_PROTOCOLS, Handshake, with_responses

log = structlog.get_logger(__name__)

UNMATCHED = "unmatched"
UNREAD_S = 60.0  # how long a piece of an answer may lie unread before the connection is closed
_CLIENT_LEFT = 499
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
    "cache-control": "no-store",
}

OnRequest = Callable[[str, str, int, float], None]


class RequestLog:
    """An ASGI layer around all others; ``on_request`` is called with route, method, status and seconds.

    A WebSocket counts once, when its handshake is answered: method WEBSOCKET, status 101 or a refusal's.
    """

    def __init__(self, app: ASGIApp, shapes: ErrorShapes, on_request: OnRequest) -> None:
        self._app = app
        self._shapes = shapes
        self._on_request = on_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; this is the boundary behind which no error of one request may reach others."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        is_websocket = scope["type"] == "websocket"
        inside = with_responses(scope) if is_websocket else scope
        request_id, began_s = _request_id(scope), time.perf_counter()

        def note(status: int) -> None:
            self._note(inside, status, time.perf_counter() - began_s)

        sent = _Sent(send, request_id)
        answer = Handshake(scope, sent.send, note) if is_websocket else sent
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(inside, receive, answer.send)
            except _NotReadingError:
                log.info("client_does_not_read")
            except WebSocketDisconnect:  # what an endpoint gets that reads on when the client has left
                log.info("client_left_websocket")
            except asyncio.CancelledError:  # only a server that ends at once cancels requests
                log.info("request_cut_off")
            except Exception:
                log.exception("request_failed")
                if not answer.is_complete:  # it failed in a layer around the routes, or after a handshake
                    unforeseen = self._shapes.at(scope).of_error(SmallsightError("The request failed."))
                    await unforeseen(inside, receive, answer.send)
            finally:
                if not is_websocket or answer.status is None:
                    note(answer.status or _CLIENT_LEFT)
                elif answer.status == SWITCHING_PROTOCOLS:
                    log.info("websocket_closed", seconds=round(time.perf_counter() - began_s, 4))

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route, method = _route(scope), _method(scope)
        self._on_request(route, method, status, seconds)
        client = scope.get("client")
        log.info(
            "request",
            method=method,
            route=route,
            status=status,
            seconds=round(seconds, 4),
            client=None if client is None else client[0],
        )


class _Sent:
    """Passes messages on, the first with the headers that all answers have, and keeps the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it is too late for another response."""
        return self.status is not None

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            message = {"headers": [], **message}
            MutableHeaders(scope=message)["x-request-id"] = self._request_id
        elif message["type"] in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._request_id
            for name, value in _ALWAYS.items():
                headers.setdefault(name, value)
        try:
            async with asyncio.timeout(UNREAD_S):
                await self._send(message)
        except TimeoutError as error:
            raise _NotReadingError from error


class _NotReadingError(Exception):
    """The client has let an answer lie for too long. Never leaves this file."""


def _route(scope: Scope) -> str:
    """Return the route as declared, with the prefix it is mounted at: never text from a client."""
    route = scope.get("route")
    if route is None:
        return UNMATCHED
    prefix = str(scope.get("root_path", ""))
    return prefix if isinstance(route, Mount) else prefix + str(getattr(route, "path", UNMATCHED))


def _method(scope: Scope) -> str:
    if scope["type"] == "websocket":
        return "WEBSOCKET"
    return scope["method"] if scope["method"] in _METHODS else "other"


def _request_id(scope: Scope) -> str:
    """Return the client's own id for the request if it is harmless, or a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"

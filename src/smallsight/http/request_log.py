"""The outermost layer: request ids, log lines, request counts and unexpected errors.

Of a request only the client's address, the name of its key, method and route are logged; no headers, no
bodies, no queries.
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
from smallsight.http.authorise import KEY_PREFIX
from smallsight.http.error_shape import ErrorShapes
from smallsight.http.handshake import SWITCHING_PROTOCOLS, Handshake, with_responses
from smallsight.policy.log import get_logger

log = get_logger(__name__)

UNMATCHED = "unmatched"
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
        """Forward the request; an error of one request stops here and does not affect others."""
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
            except WebSocketDisconnect:  # raised in an endpoint that reads after a disconnect
                log.info("client_left_websocket")
            except asyncio.CancelledError:  # requests are cancelled only by a forced stop
                log.info("request_cut_off")
            except Exception:
                log.exception("request_failed")
                if not answer.is_complete:  # it failed in a layer around the routes, or after a handshake
                    response = self._shapes.at(scope).of_error(SmallsightError("The request failed."))
                    await response(inside, receive, answer.send)
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
            **_key_name(scope),
        )


class _Sent:
    """Forwards messages, adds the headers of all responses to the first, and keeps the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether a response has started, so that no other can be sent."""
        return self.status is not None

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            message = {"headers": [], **message}
            MutableHeaders(scope=message)["x-request-id"] = self._request_id
        elif message["type"] in ("http.response.start", "websocket.http.response.start"):
            self.status = int(message["status"])  # applications send members of HTTPStatus too
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._request_id
            for name, value in _ALWAYS.items():
                headers.setdefault(name, value)
        await self._send(message)


def current_request_id() -> str:
    """Return the id of the request that this task handles, "" outside of one."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def _route(scope: Scope) -> str:
    """Return the route as declared, with its mount prefix; never text from a client."""
    route = scope.get("route")
    if route is None:
        return UNMATCHED
    prefix = str(scope.get("root_path", ""))
    return prefix if isinstance(route, Mount) else prefix + str(getattr(route, "path", UNMATCHED))


def _key_name(scope: Scope) -> dict[str, str]:
    """Return the name of the key that the request was accepted with, if it was, as a field of its line."""
    client = str((scope.get("state") or {}).get("client", ""))
    return {"key": client.removeprefix(KEY_PREFIX)} if client.startswith(KEY_PREFIX) else {}


def _method(scope: Scope) -> str:
    if scope["type"] == "websocket":
        return "WEBSOCKET"
    return scope["method"] if scope["method"] in _METHODS else "other"


def _request_id(scope: Scope) -> str:
    """Return the client's id for the request if it is valid, or a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"

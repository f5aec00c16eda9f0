"""The outermost layer: a request's id, its line in the log, its place in the figures, unforeseen errors.

Nothing that a client sends is logged but its address, method and route; no headers, no bodies, no queries.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smallsight.errors import SmallsightError
from smallsight.openai.error_shape import error_response
from smallsight.serve.metrics import UNMATCHED, Metrics

log = structlog.get_logger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
UNREAD_S = 60.0  # how long a piece of an answer may lie unread before the connection is given up
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


class RequestLog:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; this is the boundary behind which no error of one request may reach others."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _SentResponse(send, _request_id(scope))
        began_s = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=answer.request_id):
            try:
                await self._app(scope, receive, answer.send)
            except _NotReadingError:
                log.info("client_does_not_read")
            except asyncio.CancelledError:  # only a server that ends at once cancels requests
                log.info("request_cut_off")
            except Exception:
                log.exception("request_failed")
                if answer.status is None:  # it failed in a layer around the routes
                    unforeseen = SmallsightError("The request failed.")
                    await error_response(unforeseen)(scope, receive, answer.send)
            finally:
                self._note(scope, answer.status or 499, time.perf_counter() - began_s)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = str(getattr(scope.get("route"), "path", UNMATCHED))
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.count_request(route, method, status, seconds)
        client = scope.get("client")
        log.info(
            "request",
            method=method,
            route=route,
            status=status,
            seconds=round(seconds, 4),
            client=None if client is None else client[0],
        )


class _SentResponse:
    """Passes an answer on with the headers that all answers have, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self.request_id
            for name, value in _ALWAYS.items():
                headers.setdefault(name, value)
        try:
            async with asyncio.timeout(UNREAD_S):
                await self._send(message)
        except TimeoutError as error:
            raise _NotReadingError from error


class _NotReadingError(Exception):
    """The client has let an answer lie for too long. Never leaves this file."""


def _request_id(scope: Scope) -> str:
    """Return the client's own id for the request if it is harmless, or a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"

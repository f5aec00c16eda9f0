"""Refuses requests and WebSocket handshakes that name another host or come from a page of another site."""

from __future__ import annotations

from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from smallsight.errors import BadRequestError, ForbiddenError, ServerError
from smallsight.http.error_shape import ErrorShapes, error_response
from smallsight.http.foreign_pages import is_foreign, is_known_host, is_single_label

# Two parts of a system that each read another one of two would disagree about who asks.
_ONCE = ("authorization", "x-api-key", "origin", "content-length", "transfer-encoding", "sec-fetch-site")


class HostGuard:
    """An ASGI layer; refused requests do not reach the layers inside. A handshake is refused with 403.

    A request of HTTP/1.0 may name no host: browsers, which could be led here, always name one.

    While ``is_locked`` any name without a dot is accepted too: public names have one, and a page that had a
    name without would still need a key or the password.
    """

    def __init__(
        self,
        app: ASGIApp,
        shapes: ErrorShapes,
        *,
        names: Collection[str],
        allowed_origins: Collection[str],
        is_locked: Callable[[], bool],
    ) -> None:
        self._app = app
        self._shapes = shapes
        self._names = names
        self._allowed_origins = allowed_origins
        self._is_locked = is_locked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request or handshake, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await error_response(refusal, self._shapes.at(scope))(scope, receive, send)

    def _is_known(self, host: str) -> bool:
        if is_known_host(host, self._names):
            return True
        try:
            return is_single_label(host) and self._is_locked()
        except ServerError:  # the keys cannot be read
            return False

    def _refusal(self, scope: Scope) -> ServerError | None:
        headers = Headers(scope=scope)
        is_handshake = scope["type"] == "websocket"
        for name in _ONCE:
            if len(headers.getlist(name)) > 1:
                return BadRequestError(f"The request has two {name} headers.", hint="send one.")
        if "content-length" in headers and "transfer-encoding" in headers:
            return BadRequestError(
                "The request has Content-Length and Transfer-Encoding.", hint="send one of them."
            )
        is_named = "host" in headers or scope.get("http_version") != "1.0"  # the checks of load balancers
        if is_named and (len(headers.getlist("host")) != 1 or not self._is_known(headers["host"])):
            kind = ForbiddenError if is_handshake else BadRequestError
            return kind(
                "The Host header does not name this server.",
                hint="use its address, or add the name to server.allowed_hosts.",
            )
        if is_foreign(None if is_handshake else scope["method"], headers, self._allowed_origins):
            return ForbiddenError(
                "A page of another site may not do this.", hint="add its origin to server.allowed_origins."
            )
        return None

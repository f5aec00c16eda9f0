"""Turns away requests under a foreign name and from foreign pages, before anything else looks at them."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from smallsight.errors import BadRequestError, ForbiddenError
from smallsight.http.foreign_pages import is_foreign, is_known_host
from smallsight.openai.error_shape import error_response


class HostGuard:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, *, names: Collection[str], allowed_origins: Collection[str]) -> None:
        self._app = app
        self._names = names
        self._allowed_origins = allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal: BadRequestError | ForbiddenError | None = None
        if len(headers.getlist("host")) != 1 or not is_known_host(headers["host"], self._names):
            refusal = BadRequestError(
                "The Host header does not name this server.",
                hint="use its address, or add the name to server.allowed_hosts.",
            )
        elif is_foreign(scope["method"], headers, self._allowed_origins):
            refusal = ForbiddenError(
                "A page of another site may not do this.", hint="add its origin to server.allowed_origins."
            )
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await error_response(refusal)(scope, receive, send)

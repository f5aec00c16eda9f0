"""An ASGI layer that understands a request whose target is a whole URL, as clients of a proxy send it.

Source: RFC 9112, section 3.2.2: a server accepts this form, and its host replaces the Host header.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["AbsoluteForm"]

_WHOLE_URL = re.compile(rb"https?://(?P<host>[^/?#]*)(?P<path>[^?#]*)", re.IGNORECASE)


class AbsoluteForm:
    """Gives requests and handshakes the path and the host of their URL; the others pass unchanged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request."""
        whole = None if scope["type"] == "lifespan" else _WHOLE_URL.fullmatch(scope.get("raw_path") or b"")
        if whole is not None:
            raw_path = whole["path"] or b"/"
            path = unquote_to_bytes(raw_path).decode("utf-8", "replace")
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            headers = [(b"host", whole["host"]), *others]
            scope = {**scope, "raw_path": raw_path, "path": path, "headers": headers}
        await self._app(scope, receive, send)

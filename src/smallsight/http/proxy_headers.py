"""Believes a proxy on this machine about who asks, and whether by HTTPS, where the operator has one."""

from __future__ import annotations

import contextlib
import ipaddress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from smallsight.http.foreign_pages import is_loopback

_SCHEMES = {"http": {"http": "http", "websocket": "ws"}, "https": {"http": "https", "websocket": "wss"}}


class ProxyHeaders:
    """An ASGI layer: the scheme and the client of requests that come from a loopback address.

    The proxy appends the address that it saw to X-Forwarded-For; what is before it is the client's invention.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request."""
        client = scope.get("client")
        if scope["type"] != "lifespan" and client is not None and is_loopback(client[0]):
            scope = {**scope, **_forwarded(scope)}
        await self._app(scope, receive, send)


def _forwarded(scope: Scope) -> dict[str, object]:
    headers = Headers(scope=scope)
    found: dict[str, object] = {}
    schemes = headers.getlist("x-forwarded-proto")
    if len(schemes) == 1 and (by_type := _SCHEMES.get(schemes[0].strip().lower())) is not None:
        found["scheme"] = by_type[scope["type"]]
    seen = ",".join(headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
    with contextlib.suppress(ValueError):
        found["client"] = (str(ipaddress.ip_address(seen.strip("[]"))), 0)
    return found

"""An ASGI layer for the methods that no route declares: HEAD is GET without its body, OPTIONS lists methods.

RFC 9110 has HEAD wherever GET is, and has a 405 name every method of its path. Routers know neither: they
offer what a route declares, and name the methods of the first route that has the path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_WHOLE_SERVER = "*"  # the target of a question about no path: RFC 9110, section 9.3.7
_OF_THE_ROUTE = ("root_path", "route", "state")  # what the request log reads after an answer


@dataclass(frozen=True, slots=True)
class RouteMethods:
    """The methods of one route: of the paths that begin with ``prefix`` and go on as ``rest`` says."""

    prefix: str
    rest: re.Pattern[str]
    methods: frozenset[str]

    def has(self, path: str) -> bool:
        """Return whether the route has this path."""
        return path.startswith(self.prefix) and self.rest.match(path[len(self.prefix) :]) is not None


class MethodTable:
    """The methods of every path of a server."""

    def __init__(self, routes: Sequence[RouteMethods]) -> None:
        self._routes = routes

    def declared(self, path: str) -> set[str]:
        """Return the methods that the routes of a path declare; none for an unknown path, all for ``*``."""
        if path == _WHOLE_SERVER:
            return {method for route in self._routes for method in route.methods}
        return {method for route in self._routes if route.has(path) for method in route.methods}

    def allow_header(self, path: str) -> str:
        """Return the value of the header Allow for a path, "" for an unknown one."""
        declared = self.declared(path)
        if not declared:
            return ""
        return ", ".join(sorted(declared | {"OPTIONS"} | ({"HEAD"} if "GET" in declared else set())))


class KnownMethods:
    """Answers OPTIONS for every known path, without a key: it says no more than ``/openapi.json``."""

    def __init__(self, app: ASGIApp, table: MethodTable) -> None:
        self._app = app
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, HEAD as GET where only GET is declared."""
        method = scope["method"] if scope["type"] == "http" else ""
        if method not in ("HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        declared = self._table.declared(scope["path"])
        if method == "OPTIONS" and declared and "OPTIONS" not in declared:
            response = Response(status_code=204, headers={"allow": self._table.allow_header(scope["path"])})
            await response(scope, receive, send)
        elif method == "HEAD" and "GET" in declared and "HEAD" not in declared:
            await self._get_head(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _get_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        inside = {**scope, "method": "GET"}
        try:
            await self._app(inside, receive, send_head)
        finally:
            scope.update({name: inside[name] for name in _OF_THE_ROUTE if name in inside})

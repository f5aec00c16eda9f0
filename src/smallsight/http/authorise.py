"""Checks who may use a route. The class of a route states its scope; there is no default.

The check is part of the route: it runs before the body is read, and never compares paths.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from smallsight.errors import ForbiddenError, NotAuthorisedError, ServerError, SettingsError
from smallsight.http.admission import Admission
from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.http.json_body import JsonBodies, JsonRequest
from smallsight.http.repeated_line import RepeatedLine

_BEARER = "bearer "
KEY_PREFIX = "key "

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
SocketEndpoint = Callable[[WebSocket], Awaitable[None]]


class RefusedKeys:
    """Counts requests without a key that is known, and logs from where they come, not what they sent."""

    def __init__(self) -> None:
        self.counts = {"missing": 0, "unknown": 0, "scope": 0}
        self._line = RepeatedLine("key_refused")

    def count(self, kind: str, connection: HTTPConnection) -> None:
        """Count one request whose key is "missing", "unknown", or lacks the "scope"."""
        self.counts[kind] += 1
        self._line.write("" if connection.client is None else connection.client.host, kind=kind)


@dataclass(frozen=True, slots=True)
class Gate:
    """What routes check against; stored as ``state.gate`` of each mounted application.

    ``is_exposed`` is true when other machines can reach the server, or the operator wants a key.
    """

    keys: ApiKeys
    admission: Admission
    is_exposed: bool
    bodies: JsonBodies = field(default_factory=JsonBodies)
    refused: RefusedKeys = field(default_factory=RefusedKeys)


class PublicRoute(APIRoute):
    """A route that needs no key."""


class UseRoute(APIRoute):
    """A route for the scope "use"; a full or stopping server refuses before it reads the body, and
    a JSON body is parsed by ``json_body``.
    """

    def get_route_handler(self) -> Handler:
        """Return the handler with the check before it."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            request.state.client = authorise(request, Scope.USE)
            if request.method == "POST":
                gate: Gate = request.app.state.gate
                gate.admission.require_room(request.state.client)
                parsed = JsonRequest(request.scope, request.receive)
                await parsed.parse_body(gate.bodies)
                return await handle(parsed)
            return await handle(request)

        return guarded


class MonitorRoute(APIRoute):
    """A route for the scope "monitor": health and metrics."""

    def get_route_handler(self) -> Handler:
        """Return the handler with the check before it."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            request.state.client = authorise(request, Scope.MONITOR)
            return await handle(request)

        return guarded


def guarded_socket(scope: Scope, endpoint: SocketEndpoint) -> SocketEndpoint:
    """Return a WebSocket endpoint with the check before it; it refuses before accepting the handshake."""

    async def guarded(websocket: WebSocket) -> None:
        websocket.state.client = authorise(websocket, scope)
        await endpoint(websocket)

    return guarded


def authorise(connection: HTTPConnection, scope: Scope) -> str:
    """Return the client's identity: its key's name, or its address while there are no keys.

    A server that has never had a key accepts every client on this machine, and no others. Raises
    NotAuthorisedError, ForbiddenError, and ServerError when the keys cannot be read.
    """
    gate: Gate = connection.app.state.gate
    try:
        is_open = not gate.keys.all() and not gate.keys.has_seen_keys and not gate.is_exposed
    except SettingsError as error:  # the operator's mistake, not the client's
        raise ServerError(str(error)) from error
    if is_open:
        return "" if connection.client is None else connection.client.host
    given = connection.headers.get("authorization", "")
    key = gate.keys.find(given[len(_BEARER) :].strip()) if given[: len(_BEARER)].lower() == _BEARER else None
    if key is None:
        gate.refused.count("unknown" if given else "missing", connection)
        raise NotAuthorisedError(
            "The key in the request is unknown." if given else "The request has no key.",
            hint="send `Authorization: Bearer KEY`; `smallsight keys add NAME` creates one.",
        )
    if scope not in key.scopes:
        gate.refused.count("scope", connection)
        raise ForbiddenError(f"This key lacks the scope {scope.value}.")
    return f"{KEY_PREFIX}{key.name}"

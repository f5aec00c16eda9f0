"""Who may use a route. Every route says which scope it takes; a route that says nothing cannot be declared.

The route itself checks, before a byte of the body is read, and never by comparing paths.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from smallsight.errors import ForbiddenError, NotAuthorisedError, ServerError, SettingsError
from smallsight.http.admission import Admission
from smallsight.http.api_keys import ApiKeys, Scope

_BEARER = "bearer "

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
SocketEndpoint = Callable[[WebSocket], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Gate:
    """What routes check against, as ``state.gate`` of each application that is mounted.

    ``is_exposed``: others than this machine can reach the server.
    """

    keys: ApiKeys
    admission: Admission
    is_exposed: bool


class PublicRoute(APIRoute):
    """A route for everybody."""


class UseRoute(APIRoute):
    """A route for keys that may ask models; full or stopping servers say so before reading the question."""

    def get_route_handler(self) -> Handler:
        """Return the handler behind the check."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            request.state.client = authorise(request, Scope.USE)
            if request.method == "POST":
                gate: Gate = request.app.state.gate
                gate.admission.require_room(request.state.client)
            return await handle(request)

        return guarded


class MonitorRoute(APIRoute):
    """A route for keys that may look at health and metrics."""

    def get_route_handler(self) -> Handler:
        """Return the handler behind the check."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            authorise(request, Scope.MONITOR)
            return await handle(request)

        return guarded


def guarded_socket(scope: Scope, endpoint: SocketEndpoint) -> SocketEndpoint:
    """Return a WebSocket endpoint behind the check, which refuses before the handshake is accepted."""

    async def guarded(websocket: WebSocket) -> None:
        websocket.state.client = authorise(websocket, scope)
        await endpoint(websocket)

    return guarded


def authorise(connection: HTTPConnection, scope: Scope) -> str:
    """Return who asks: a key, or an address where there are none. Raises NotAuthorisedError, ForbiddenError.

    While there are no keys, everybody on this machine may pass, and nobody else.
    """
    gate: Gate = connection.app.state.gate
    try:
        is_open = not gate.keys.all() and not gate.is_exposed
    except SettingsError as error:  # the operator's mistake, not the client's
        raise ServerError(str(error)) from error
    if is_open:
        return "" if connection.client is None else connection.client.host
    given = connection.headers.get("authorization", "")
    key = gate.keys.find(given[len(_BEARER) :].strip()) if given[: len(_BEARER)].lower() == _BEARER else None
    if key is None:
        raise NotAuthorisedError(
            "The key in the request is not known." if given else "The request has no key.",
            hint="send `Authorization: Bearer KEY`; `smallsight keys add NAME` makes one.",
        )
    if scope not in key.scopes:
        raise ForbiddenError(f"This key lacks the scope {scope.value}.")
    return f"key {key.name}"

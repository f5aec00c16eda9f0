"""Checks who may use a route. The class of a route states its scope; there is no default.

The check is part of the route: it runs before the body is read, and never compares paths.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from smallsight.errors import ForbiddenError, NotAuthorisedError, ServerError, SettingsError
from smallsight.http.admission import Admission
from smallsight.http.api_keys import ApiKey, ApiKeys, Scope
from smallsight.http.json_body import JsonBodies, JsonRequest
from smallsight.http.page_password import PagePassword
from smallsight.http.repeated_line import RepeatedLine

_BEARER, _BASIC = "bearer", "basic"
_KEY_HEADER = "x-api-key"  # as clients of Anthropic's protocol send it
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
    password: PagePassword
    admission: Admission
    is_exposed: bool
    bodies: JsonBodies = field(default_factory=JsonBodies)
    refused: RefusedKeys = field(default_factory=RefusedKeys)

    @property
    def is_without_secrets(self) -> bool:
        """Whether everyone on this machine may use the server: no key and no password, now or before.

        Raises ServerError when they cannot be read.
        """
        try:
            has_keys = bool(self.keys.all()) or self.keys.has_seen_keys
            return not has_keys and not self.is_exposed and not self.password.is_on
        except SettingsError as error:  # the operator's mistake, not the client's
            raise ServerError(str(error)) from error


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

    A server that has never had a key, and has no password, accepts every client on this machine, and no
    others. Raises NotAuthorisedError, ForbiddenError, and ServerError when the keys cannot be read.
    """
    gate: Gate = connection.app.state.gate
    if gate.is_without_secrets:
        return "" if connection.client is None else connection.client.host
    given, key = _given_key(connection), _key_of(connection)
    if key is None:
        gate.refused.count("missing" if given is None else "unknown", connection)
        raise NotAuthorisedError(
            "The request has no key." if given is None else "The key in the request is unknown.",
            hint="send `Authorization: Bearer KEY`; `smallsight keys add NAME` creates one.",
        )
    if scope not in key.scopes:
        gate.refused.count("scope", connection)
        raise ForbiddenError(f"This key lacks the scope {scope.value}.")
    return f"{KEY_PREFIX}{key.name}"


def has_key_for(connection: HTTPConnection, scope: Scope) -> bool:
    """Return whether a request has a key with this scope; without keys no request has.

    Raises SettingsError when the keys cannot be read.
    """
    key = _key_of(connection)
    return key is not None and scope in key.scopes


def _key_of(connection: HTTPConnection) -> ApiKey | None:
    gate: Gate = connection.app.state.gate
    given = _given_key(connection)
    return gate.keys.find(given) if given else None


def _given_key(connection: HTTPConnection) -> str | None:
    """Return the key in a request, "" for credentials of another kind, None without any."""
    given = connection.headers.get("authorization", "")
    if not given:
        return connection.headers.get(_KEY_HEADER, "").strip() or None
    scheme, _, credentials = given.partition(" ")
    if scheme.lower() == _BASIC:
        return _basic_password(credentials.strip())
    return credentials.strip() if scheme.lower() == _BEARER else ""


def _basic_password(credentials: str) -> str:
    """Return the password in the credentials of HTTP Basic, "" if there is none. The user name is ignored."""
    try:
        pair = base64.b64decode(credentials, validate=True).decode()
    except ValueError:
        return ""
    return pair.partition(":")[2]

"""Who may use a route. Every route says what it takes; one that says nothing cannot be made.

Held by the route itself, before a byte of the body is read, and never by comparing paths.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from smallsight.errors import ForbiddenError, NotAuthorisedError, ServerError, SettingsError
from smallsight.http.api_keys import ApiKeys, Scope

_BEARER = "bearer "

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


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
                request.app.state.admission.require_room(request.state.client)
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


def authorise(request: Request, scope: Scope) -> str:
    """Let a request through and return who asks, or raise NotAuthorisedError or ForbiddenError.

    A client is a key, or an address where there are no keys.

    As long as there are no keys everybody on this machine may pass, and nobody else.
    """
    keys: ApiKeys = request.app.state.serving.keys
    try:
        is_open = not keys.all() and not request.app.state.is_exposed
    except SettingsError as error:  # the operator's mistake, not the client's
        raise ServerError(str(error)) from error
    if is_open:
        return "" if request.client is None else request.client.host
    given = request.headers.get("authorization", "")
    key = keys.find(given[len(_BEARER) :].strip()) if given[: len(_BEARER)].lower() == _BEARER else None
    if key is None:
        raise NotAuthorisedError(
            "The request has no key that is known here." if given else "The request has no key.",
            hint="send `Authorization: Bearer KEY`; `smallsight keys add NAME` makes one.",
        )
    if scope not in key.scopes:
        raise ForbiddenError(f"This key may not do that: it lacks the scope {scope.value}.")
    return f"key {key.name}"

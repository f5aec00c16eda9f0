"""Wraps an application in the layers of this folder, in order: proxy, URL, log, host, origin, CORS, body."""

from __future__ import annotations

from collections.abc import Callable

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from smallsight.http.absolute_form import AbsoluteForm
from smallsight.http.error_shape import ErrorShapes
from smallsight.http.foreign_pages import own_names
from smallsight.http.host_guard import HostGuard
from smallsight.http.packed_bodies import PackedBodies
from smallsight.http.proxy_headers import ProxyHeaders
from smallsight.http.request_limit import RequestLimit
from smallsight.http.request_log import OnRequest, RequestLog
from smallsight.settings import ServerSettings


def with_walls(
    app: ASGIApp,
    settings: ServerSettings,
    shapes: ErrorShapes,
    on_request: OnRequest,
    *,
    is_locked: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """Return the application inside all layers, which handle "http" and "websocket" scopes.

    ``is_locked`` says whether every client needs a key or a password now.
    """
    app = RequestLimit(app, shapes, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s)
    app = PackedBodies(app, shapes)
    if settings.allowed_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.allowed_origins,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=("*",),
            allow_private_network=True,  # for these origins, as the operator says
            expose_headers=("x-request-id", "request-id", "retry-after"),
        )
    names = own_names() | {name.lower() for name in (settings.host, *settings.allowed_hosts)}
    origins = settings.allowed_origins
    app = HostGuard(app, shapes, names=names, allowed_origins=origins, is_locked=is_locked)
    app = RequestLog(app, shapes, on_request)
    app = AbsoluteForm(app)
    return ProxyHeaders(app) if settings.behind_proxy else app

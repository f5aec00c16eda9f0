"""The application of a page worker: pages, searches and pictures, behind the same checks as everywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from smallsight.http.admission import Admission
from smallsight.http.error_handlers import handle_errors
from smallsight.http.error_shape import ErrorShapes
from smallsight.http.walls import with_walls
from smallsight.openai.error_answer import OpenAIErrors
from smallsight.serve.app import make_gate
from smallsight.serve.running import RunningApp
from smallsight.serve.tenants import Tenant
from smallsight.services.serving import Serving
from smallsight.web import tenant as web_tenant
from smallsight.web.read_only_paths import is_read_only

__all__ = ["make_page_app"]

_MISDIRECTED = 421  # RFC 9110, section 15.5.20: the client may repeat the request on another connection


def make_page_app(serving: Serving) -> RunningApp:
    """Wire the application; its lifespan closes ``serving``."""
    settings = serving.settings.server
    admission = Admission(settings.max_requests)
    gate = make_gate(serving, admission)
    web = web_tenant.make_web_app(serving, reads_only=True)
    tenant = Tenant(web_tenant.PREFIX, web.app, web.errors)
    tenant.app.state.gate = gate
    handle_errors(tenant.app, tenant.errors)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's shape
        async with tenant.app.router.lifespan_context(tenant.app):
            yield
        await serving.close()

    root = Starlette(routes=[tenant.mounted()], lifespan=lifespan)
    shapes = ErrorShapes(OpenAIErrors(), {tenant.prefix: tenant.errors})
    walled = with_walls(
        _ReadsOnly(root),
        settings,
        shapes,
        lambda *_: None,  # the main process has the metrics
        is_locked=lambda: not gate.is_without_secrets,
    )
    return walled, admission


class _ReadsOnly:
    """Refuses what a client has sent before the answer to the request before, if it has to be elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (
            scope["type"] == "http" and is_read_only(scope["method"], scope["path"])
        ):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            response = Response(status_code=_MISDIRECTED, headers={"connection": "close"})
            await response(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

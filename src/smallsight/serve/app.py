"""The application: tenants, their dependencies, and the layers of ``http`` around all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.types import ASGIApp

from smallsight.errors import SettingsError
from smallsight.http.admission import Admission
from smallsight.http.authorise import Gate
from smallsight.http.error_handlers import handle_errors
from smallsight.http.error_shape import ErrorShape, ErrorShapes
from smallsight.http.foreign_pages import is_loopback
from smallsight.http.remote_pictures import RemotePictures
from smallsight.http.walls import with_walls
from smallsight.openai.error_answer import OpenAIErrors
from smallsight.openai.tenant import add_openai_routes
from smallsight.serve import state_routes
from smallsight.serve.health import Health
from smallsight.serve.metrics import Metrics
from smallsight.serve.preload import Preload
from smallsight.services.serving import Serving
from smallsight.version import __version__


@dataclass(frozen=True, slots=True)
class Tenant:
    """An application with its own protocol and error shape, mounted below ``prefix`` ("/jobs")."""

    prefix: str
    app: Starlette
    errors: ErrorShape


@dataclass(frozen=True, slots=True)
class ServerApp:
    """The application, and the parts of it that the server process uses."""

    asgi: ASGIApp
    routes: FastAPI
    admission: Admission


def make_app(
    serving: Serving, *, remote: RemotePictures | None = None, tenants: Sequence[Tenant] = ()
) -> ServerApp:
    """Wire the application; its lifespan closes ``serving``. OpenAI's protocol is at the root."""
    settings = serving.settings.server
    admission = Admission(settings.max_requests)
    gate = Gate(serving.keys, admission, is_exposed=settings.require_key or not is_loopback(settings.host))
    with suppress(SettingsError):  # requests are refused with it
        serving.keys.all()  # a key that is there now keeps the server closed until it ends
    metrics = Metrics(serving, admission, gate.refused)
    preload = Preload(serving)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's shape
        async with AsyncExitStack() as mounted:
            for tenant in tenants:
                await mounted.enter_async_context(tenant.app.router.lifespan_context(tenant.app))
            preload.start()
            yield
            await preload.stop()
        asking.close()
        await serving.close()

    routes = FastAPI(
        title="Smallsight",
        version=__version__,
        description="Small vision-language models behind OpenAI's protocol.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    asking = add_openai_routes(routes, serving, admission, metrics, remote or RemotePictures(settings))
    routes.state.health, routes.state.metrics = Health(serving, admission, preload), metrics
    routes.include_router(state_routes.monitor_router)
    routes.include_router(state_routes.public_router)
    openai = Tenant("", routes, OpenAIErrors())
    for tenant in (openai, *tenants):
        tenant.app.state.gate = gate
        handle_errors(tenant.app, tenant.errors)
    for tenant in tenants:
        routes.mount(tenant.prefix, tenant.app)
    shapes = ErrorShapes(openai.errors, {tenant.prefix: tenant.errors for tenant in tenants})
    return ServerApp(with_walls(routes, settings, shapes, metrics.count_request), routes, admission)

"""The application: tenants, their dependencies, and the layers of ``http`` around all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.types import ASGIApp

from smallsight.answering.asking import Asking
from smallsight.answering.picture_links import PictureLinks
from smallsight.answering.route_state import RouteState
from smallsight.errors import SettingsError
from smallsight.http.admission import Admission
from smallsight.http.authorise import Gate
from smallsight.http.error_handlers import handle_errors
from smallsight.http.error_shape import ErrorShapes
from smallsight.http.foreign_pages import is_loopback
from smallsight.http.known_methods import KnownMethods, MethodTable
from smallsight.http.path_spelling import PathSpelling
from smallsight.http.remote_pictures import RemotePictures
from smallsight.http.walls import with_walls
from smallsight.openai.error_answer import OpenAIErrors
from smallsight.openai.tenant import API_PREFIX, add_openai_routes
from smallsight.serve import state_routes
from smallsight.serve.description import Description
from smallsight.serve.health import Health
from smallsight.serve.metrics import Metrics
from smallsight.serve.preload import Preload
from smallsight.serve.tenants import Tenant, declared_methods, declared_paths, own_tenants
from smallsight.services.serving import Serving
from smallsight.version import __version__


@dataclass(frozen=True, slots=True)
class ServerApp:
    """The application, and the parts of it that the server process uses."""

    asgi: ASGIApp
    routes: FastAPI
    admission: Admission


def make_app(
    serving: Serving, *, remote: RemotePictures | None = None, tenants: Sequence[Tenant] = ()
) -> ServerApp:
    """Wire the application; its lifespan closes ``serving``.

    OpenAI's protocol is at the root, the pages are below ``/app``.
    """
    settings = serving.settings.server
    admission = Admission(settings.max_requests)
    gate = make_gate(serving, admission)
    tenants = (*own_tenants(serving), *tenants)
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

    routes = _new_application(lifespan)
    links = _make_links(serving, remote or RemotePictures(settings))
    asking = Asking(serving, admission, links)
    state = RouteState(serving.models, asking, metrics)
    add_openai_routes(routes, serving.responses)
    routes.state.text_model, routes.state.picture_vectors = serving.text_model, serving.picture_vectors
    routes.state.picture_links = links
    routes.state.health, routes.state.metrics = Health(serving, admission, preload), metrics
    routes.include_router(state_routes.monitor_router)
    routes.include_router(state_routes.public_router)
    openai = Tenant("", routes, OpenAIErrors())
    methods = declared_methods(openai, *tenants)
    for tenant in (openai, *tenants):
        tenant.app.state.gate = gate
        tenant.app.state.answering = state
        tenant.app.state.methods = methods
        handle_errors(tenant.app, tenant.errors)
    routes.state.description = Description(routes, tenants)
    routes.router.routes += [tenant.mounted() for tenant in tenants]
    shapes = ErrorShapes(openai.errors, {tenant.prefix: tenant.errors for tenant in tenants})
    spelled, on_request = _spelled(methods, openai, *tenants), metrics.count_request
    walled = with_walls(spelled, settings, shapes, on_request, is_locked=lambda: not gate.is_without_secrets)
    return ServerApp(walled, routes, admission)


def _new_application(lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """Return an application without routes; its own pages about itself are routes of ours."""
    return FastAPI(
        title="Smallsight",
        version=__version__,
        description="Small vision-language models behind the protocols of OpenAI and others.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )


def _spelled(methods: MethodTable, openai: Tenant, *others: Tenant) -> ASGIApp:
    """Return the application that takes paths of OpenAI's protocol without their prefix too."""
    parents, app = [f"{API_PREFIX}/models"], KnownMethods(openai.app, methods)
    return PathSpelling(app, paths=declared_paths(openai, *others), parents=parents, prefix=API_PREFIX)


def _make_links(serving: Serving, remote: RemotePictures) -> PictureLinks:
    """Return what opens the pictures of every protocol."""
    settings = serving.settings
    return PictureLinks(
        serving.pictures,
        remote,
        max_pictures=settings.server.max_pictures,
        max_videos=settings.server.max_videos,
        max_pixels=settings.limits.max_image_pixels,
    )


def make_gate(serving: Serving, admission: Admission) -> Gate:
    """Return what routes check against; a key or password that is there now keeps it closed."""
    settings = serving.settings.server
    is_exposed = settings.require_key or settings.behind_proxy or not is_loopback(settings.host)
    for read in (serving.keys.all, serving.password.current):
        with suppress(SettingsError):  # requests are refused with it
            read()
    return Gate(serving.keys, serving.password, admission, is_exposed=is_exposed)

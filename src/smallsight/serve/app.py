"""The application: routes, what they need, and the layers around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from smallsight.http.admission import Admission
from smallsight.http.foreign_pages import is_loopback, own_names
from smallsight.http.host_guard import HostGuard
from smallsight.http.remote_pictures import RemotePictures
from smallsight.http.request_limit import RequestLimit
from smallsight.http.request_log import RequestLog
from smallsight.openai import answer_routes, model_routes, state_routes
from smallsight.openai.asking import Asking
from smallsight.openai.error_shape import handle_errors
from smallsight.openai.picture_links import PictureLinks
from smallsight.serve.health import Health
from smallsight.serve.metrics import Metrics
from smallsight.serve.preload import Preload
from smallsight.services.serving import Serving
from smallsight.version import __version__


@dataclass(frozen=True, slots=True)
class ServerApp:
    """The application, and what whoever runs it has to know."""

    asgi: ASGIApp
    routes: FastAPI
    admission: Admission


def make_app(serving: Serving, *, remote: RemotePictures | None = None) -> ServerApp:
    """Wire the application; its lifespan closes ``serving``."""
    settings = serving.settings.server
    admission = Admission(settings.max_requests)
    preload = Preload(serving)
    pictures = PictureLinks(
        serving.pictures,
        remote or RemotePictures(settings),
        max_pictures=settings.max_pictures,
        max_videos=settings.max_videos,
        max_pixels=serving.settings.limits.max_image_pixels,
    )
    asking = Asking(serving, admission, pictures)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's shape
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
    metrics = Metrics(serving, admission)
    routes.state.serving, routes.state.admission = serving, admission
    routes.state.is_exposed = not is_loopback(settings.host)
    routes.state.asking, routes.state.metrics = asking, metrics
    routes.state.health = Health(serving, admission, preload)
    handle_errors(routes)
    for router in (
        answer_routes.router,
        model_routes.router,
        state_routes.monitor_router,
        state_routes.public_router,
    ):
        routes.include_router(router)
    return ServerApp(_with_layers(routes, serving, metrics), routes, admission)


def _with_layers(app: ASGIApp, serving: Serving, metrics: Metrics) -> ASGIApp:
    """Put the layers around the routes, the innermost first."""
    settings = serving.settings.server
    app = RequestLimit(app, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s)
    if settings.allowed_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.allowed_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=("x-request-id", "retry-after"),
        )
    names = own_names() | {name.lower() for name in (settings.host, *settings.allowed_hosts)}
    app = HostGuard(app, names=names, allowed_origins=settings.allowed_origins)
    return RequestLog(app, metrics)

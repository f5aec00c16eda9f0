"""Runs the generator as a process of its own, as meme-search's stack starts it: no keys, one application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from smallsight.generator.app_client import app_address
from smallsight.generator.generator import TestMode
from smallsight.generator.tenant import GeneratorErrors, make_generator_app
from smallsight.http.admission import Admission
from smallsight.http.error_handlers import handle_errors
from smallsight.http.error_shape import ErrorShapes
from smallsight.http.foreign_pages import is_loopback
from smallsight.http.walls import with_walls
from smallsight.machine.own_process import deny_inspection
from smallsight.media.sandbox_report import missing_restrictions
from smallsight.policy.log import get_logger
from smallsight.serve.running import OnListening, RunningApp, open_socket, run_app
from smallsight.services.live_settings import LiveSettings
from smallsight.services.serving import Serving
from smallsight.settings import ServerSettings

log = get_logger(__name__)

_SERVICE_NAME = "image_to_text_generator"  # the host that meme-search asks
_MAX_BODY_BYTES = 1024 * 1024


def serve_generator(live: LiveSettings, on_listening: OnListening, *, test_mode: TestMode | None) -> None:
    """Run until a signal; ``on_listening`` is called with the URL. Raises SettingsError, ServerError."""
    settings = live.current()
    server = _server_settings(live)
    deny_inspection()
    if test_mode is None:
        app_address(settings.generator.app_url)  # raises for an unusable address before anything is opened
    if not is_loopback(server.host):
        log.warning(
            "no_keys",
            why=f"the generator has no keys, and other machines can reach {server.host}",
            action="use it only in a network of containers that nobody else can enter",
        )
    missing = missing_restrictions(settings.limits)
    listener = open_socket(server)

    def make() -> RunningApp:
        return _make_app(Serving(live, missing_restrictions=missing), server, test_mode)

    run_app(make, server, listener, on_listening)


def _server_settings(live: LiveSettings) -> ServerSettings:
    """Return the server's settings with the generator's address, and the name that meme-search uses."""
    settings = live.current()
    return settings.server.model_copy(
        update={
            "host": settings.generator.host,
            "port": settings.generator.port,
            "allowed_hosts": (*settings.server.allowed_hosts, _SERVICE_NAME),
            "max_body_bytes": _MAX_BODY_BYTES,
            "behind_proxy": False,
        }
    )


def _make_app(serving: Serving, server: ServerSettings, test_mode: TestMode | None) -> RunningApp:
    generator = make_generator_app(serving, test_mode=test_mode)
    errors = GeneratorErrors()
    handle_errors(generator, errors)
    start = generator.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with start(app):
            yield
        await serving.close()

    generator.router.lifespan_context = lifespan
    asgi = with_walls(generator, server, ErrorShapes(errors), _count_nothing)
    return asgi, Admission(server.max_requests)


def _count_nothing(route: str, method: str, status: int, seconds: float) -> None:
    """Ignore a request: the generator has no metrics."""

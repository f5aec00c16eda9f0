"""The generator's routes as one tenant of a server, with the bodies and errors of the original."""

from __future__ import annotations

import html
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import pydantic_core
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute, APIRouter
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.responses import HTMLResponse, JSONResponse, Response

from smallsight.errors import BadRequestError, SmallsightError
from smallsight.generator.generator import Generator, TestMode
from smallsight.generator.job import JobRequest, StoredInt
from smallsight.http.authorise import PublicRoute
from smallsight.http.error_shape import public_message
from smallsight.http.json_body import JsonBodies
from smallsight.http.json_response import json_response
from smallsight.http.route_description import error_answers, json_body
from smallsight.policy.log import get_logger
from smallsight.services.serving import Serving
from smallsight.version import __version__

__all__ = ["PREFIX", "GeneratorErrors", "make_generator_app"]

log = get_logger(__name__)

PREFIX = "/generator"
_UNPROCESSABLE = 422
_STATUSES = (400, 401, 403, 404, 408, 413, 422, 429, 500, 503)
_MAX_INPUT_CHARS = 1000
_PHRASES = {404: "Not Found", 405: "Method Not Allowed"}
_IMAGE_CORE_ID = TypeAdapter(StoredInt)


class GeneratorErrorBody(BaseModel):
    """An error of the original: a sentence, or the list of what is wrong in a body."""

    detail: str | list[dict[str, Any]]


class GeneratorErrors:
    """The error shape of the original, which is that of its framework."""

    def of_error(self, error: SmallsightError) -> Response:
        """Return the response for an error that Smallsight raised."""
        return json_response({"detail": public_message(error)}, error.http_status)

    def of_status(self, status: int, message: str) -> Response:
        """Return the response for an error of the framework."""
        return json_response({"detail": _PHRASES.get(status, message)}, status)


def make_generator_app(
    serving: Serving, *, route_class: type[APIRoute] = PublicRoute, test_mode: TestMode | None = None
) -> FastAPI:
    """Return the application; its lifespan starts the generator. ``route_class`` decides who may use it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        generator = app.state.generator = Generator(serving, test_mode)
        async with generator.running():
            yield

    app = FastAPI(
        title="Smallsight, as the image-to-text generator of meme-search",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.bodies = JsonBodies()
    routes = APIRouter(route_class=route_class, tags=["generator"])
    for method, path, answer in (
        ("GET", "/", say_hello),
        ("POST", "/add_job", add_job),
        ("GET", "/check_queue", check_queue),
        ("DELETE", "/remove_job/{image_core_id}", remove_job),
        ("GET", "/undelivered", show_undelivered),
        ("GET", "/openapi.json", show_openapi),
        ("GET", "/docs", show_docs),
    ):
        routes.add_api_route(
            path,
            answer,
            methods=[method],
            response_model=None,
            response_class=HTMLResponse if answer is show_docs else JSONResponse,
            responses=error_answers(GeneratorErrorBody, *_STATUSES),
            openapi_extra=json_body(JobRequest) if answer is add_job else None,
        )
    app.include_router(routes)
    return app


async def say_hello() -> Response:
    """Answer that the generator runs."""
    log.info("HELLO WORLD")
    return json_response({"status": "HELLO WORLD"}, 200)


async def add_job(request: Request) -> Response:
    """Add a picture to the queue; answered once the application has been told."""
    generator: Generator = request.app.state.generator
    try:
        body = await request.app.state.bodies.parse(await request.body())
    except BadRequestError as error:
        return _unprocessable([{"type": "json_invalid", "loc": [], "msg": str(error), "input": None}])
    try:
        models = await generator.models(body.get("model") if isinstance(body, dict) else None)
        job = JobRequest.model_validate(body, context=models)
    except ValidationError as error:
        return _unprocessable(error.errors(include_context=False))
    await generator.add(job)
    return json_response({"status": "Job added to queue"}, 200)


async def check_queue(request: Request) -> Response:
    """Return how many jobs wait or are in progress."""
    generator: Generator = request.app.state.generator
    num_jobs = await generator.num_jobs()
    log.info("Queue length", jobs=num_jobs)
    return json_response({"queue_length": num_jobs}, 200)


async def remove_job(request: Request, image_core_id: str) -> Response:
    """Remove the jobs of a picture, if there are any, and stop the work on them."""
    generator: Generator = request.app.state.generator
    try:
        wanted = _IMAGE_CORE_ID.validate_python(image_core_id)
    except ValidationError as error:
        problems = error.errors(include_context=False, include_url=False)
        return _unprocessable([{**one, "loc": ("path", "image_core_id")} for one in problems])
    await generator.remove(wanted)
    return json_response({"status": "Job removed from queue"}, 200)


async def show_undelivered(request: Request) -> Response:
    """List the callbacks that the application has not accepted; ``ended_s`` is null while it is repeated."""
    generator: Generator = request.app.state.generator
    return json_response({"undelivered": [asdict(one) for one in await generator.undelivered()]}, 200)


async def show_openapi(request: Request) -> Response:
    """Return the description of the routes."""
    app: FastAPI = request.app
    return json_response(app.openapi(), 200)


async def show_docs(request: Request) -> Response:
    """Return the routes as a page without scripts."""
    app: FastAPI = request.app
    rows = [
        f"<li><code>{method.upper()} {html.escape(path)}</code> {html.escape(one['description'])}</li>"
        for path, methods in app.openapi()["paths"].items()
        for method, one in methods.items()
    ]
    page = f"<!doctype html><title>{html.escape(app.title)}</title><ul>{''.join(rows)}</ul>"
    return HTMLResponse(page)


def _unprocessable(problems: object) -> Response:
    """Return the problems of a body as the original does; numbers that JSON has not become null."""
    detail = pydantic_core.to_jsonable_python(problems, inf_nan_mode="null", serialize_unknown=True)
    for one in detail:
        if len(json.dumps(one.get("input"))) > _MAX_INPUT_CHARS:
            one["input"] = None
    return json_response({"detail": detail}, _UNPROCESSABLE)

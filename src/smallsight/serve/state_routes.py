"""The routes about the server itself: name, health, metrics and documentation."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from smallsight.http.authorise import MonitorRoute, PublicRoute
from smallsight.http.json_response import json_response
from smallsight.openai.route_answers import HEALTH, PAGES
from smallsight.serve.description import Description
from smallsight.serve.docs_page import docs_page
from smallsight.serve.health import Health
from smallsight.serve.metrics import CONTENT_TYPE, Metrics
from smallsight.version import __version__

public_router = APIRouter(route_class=PublicRoute, tags=["state"])
monitor_router = APIRouter(route_class=MonitorRoute, tags=["state"])


@public_router.get("/", responses=PAGES)
async def index(request: Request) -> Response:
    """Return the server's name, its version and links to its routes; browsers are sent to the pages."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/app/", headers={"vary": "accept"})
    links = {"app": "/app/", "docs": "/docs", "api": "/v1", "health": "/health", "metrics": "/metrics"}
    return json_response({"name": "smallsight", "version": __version__} | links)


@public_router.get("/app", responses=PAGES, response_class=HTMLResponse)
async def pages() -> Response:
    """Send browsers to the pages, which begin at `/app/`."""
    return RedirectResponse("/app/")


@public_router.get("/health/live", responses=PAGES)
async def live() -> Response:
    """Return 200 as long as the process works."""
    return json_response({"status": "ok"})


@public_router.get("/health/ready", responses=HEALTH)
async def ready(request: Request) -> Response:
    """Return 200 if a question is accepted now, 503 while loading the active model or stopping."""
    health: Health = request.app.state.health
    readiness = health.readiness()
    return json_response({"status": readiness}, 200 if readiness == "ok" else 503)


@public_router.get("/docs", responses=PAGES, response_class=HTMLResponse)
async def docs(request: Request) -> Response:
    """Show the routes on one page."""
    return HTMLResponse(docs_page(_description(request)))


@public_router.get("/openapi.json", responses=PAGES)
async def openapi(request: Request) -> Response:
    """Describe the routes for machines."""
    return json_response(_description(request))


def _description(request: Request) -> dict[str, Any]:
    description: Description = request.app.state.description
    return description.document()


@monitor_router.get("/health", responses=HEALTH)
async def health(request: Request) -> Response:
    """Return the server's state, its memory, and every model that is loaded or being loaded."""
    summary = request.app.state.health.summary()
    return json_response(summary, 200 if summary["ready"] else 503)


@monitor_router.get("/metrics", responses=HEALTH, response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Return metrics in Prometheus' text format."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.text(), media_type=CONTENT_TYPE)

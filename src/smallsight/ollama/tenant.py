"""Ollama's protocol as one tenant of a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from smallsight.inventory.listing import ModelService
from smallsight.ollama import answer_routes, embed_routes, model_routes, pull_route
from smallsight.ollama.ollama_errors import OllamaErrors
from smallsight.ollama.ollama_models import OllamaModels
from smallsight.ollama.parts import OllamaParts
from smallsight.services.model_downloads import ModelDownloads
from smallsight.services.serving import Serving

PREFIX = "/api"


@dataclass(frozen=True, slots=True)
class OllamaApp:
    """The routes, to be mounted at ``PREFIX``, and how they show errors."""

    app: FastAPI
    errors: OllamaErrors


def make_ollama_app(serving: Serving) -> OllamaApp:
    """Wire the routes; the lifespan of the application stops its downloads."""
    live, text_model = serving.live, serving.text_model
    downloads = ModelDownloads(lambda: ModelService(live.current()), lambda: None)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 - FastAPI's shape
        yield
        downloads.close()

    app = FastAPI(
        title="Smallsight in Ollama's protocol",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.ollama = OllamaParts(
        serving, text_model, OllamaModels(serving.models, live.current, text_model), downloads
    )
    for module in (answer_routes, embed_routes, model_routes, pull_route):
        app.include_router(module.router)
    return OllamaApp(app, OllamaErrors())

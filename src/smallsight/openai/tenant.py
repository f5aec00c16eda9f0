"""OpenAI's protocol as one tenant of a server: adds its routes to an application."""

from __future__ import annotations

from fastapi import FastAPI

from smallsight.openai import answer_routes, embeddings_routes, model_routes, responses_routes
from smallsight.services.stored_responses import StoredResponses

API_PREFIX = "/v1"  # of every route: clients are given a base URL that ends in it


def add_openai_routes(app: FastAPI, responses: StoredResponses) -> None:
    """Add the routes under ``/v1``; they share ``app.state.answering`` and the stored responses."""
    app.state.stored_responses = responses
    app.include_router(answer_routes.router)
    app.include_router(responses_routes.router)
    app.include_router(model_routes.router)
    app.include_router(embeddings_routes.router)

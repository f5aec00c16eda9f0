"""Anthropic's protocol as one tenant of a server."""

from __future__ import annotations

from fastapi import FastAPI

from smallsight.anthropic.message_routes import PREFIX, router

__all__ = ["PREFIX", "make_anthropic_app"]


def make_anthropic_app() -> FastAPI:
    """Return the application; its routes have whole paths, so it is mounted without a prefix of them."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.include_router(router)
    return app

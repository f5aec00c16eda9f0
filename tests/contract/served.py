"""The server's application in this process, with the model `test` and no network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from smallsight.serve.app import make_app
from smallsight.services.live_settings import LiveSettings
from smallsight.services.serving import Serving

ADDRESS = "http://127.0.0.1"


@contextmanager
def served(home: Path, **overrides: object) -> Iterator[tuple[TestClient, FastAPI]]:
    """Yield a client and the routes of a server with this data folder."""
    app = make_app(Serving(LiveSettings({"home": home, "active_model": "test", **overrides})))
    with TestClient(app.asgi, base_url=ADDRESS, raise_server_exceptions=False) as client:
        yield client, app.routes

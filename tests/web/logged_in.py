"""A server with a password in this process, and browsers that are logged in."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.testclient import TestClient

from contract.served import ADDRESS, served
from smallsight.http.page_password import password_path

PASSWORD = "correct horse battery"
PAGE = {"accept": "text/html"}


@contextmanager
def locked(home: Path, **overrides: object) -> Iterator[tuple[TestClient, Starlette]]:
    """Yield a client without a session, and the pages' application, of a server with a password."""
    store_password(home)
    with served(home, **overrides) as (client, app):
        client.follow_redirects = False
        yield client, pages_of(app)


def store_password(home: Path, text: str = PASSWORD) -> None:
    """Store a password that is checked at once: its file asks for few rounds."""
    salt = hashlib.sha256(text.encode()).digest()[:16]
    digest = hashlib.scrypt(text.encode(), salt=salt, n=16, r=8, p=1, dklen=32)
    row = {"n": 16, "r": 8, "p": 1, "salt": salt.hex(), "digest": digest.hex()}
    home.mkdir(parents=True, exist_ok=True)
    password_path(home).write_text(json.dumps({"scrypt": row}))


def pages_of(app: Starlette) -> Starlette:
    """Return the application that is mounted at /app."""
    mounted = next(route.app for route in app.routes if getattr(route, "path", "") == "/app")
    assert isinstance(mounted, Starlette)
    return mounted


def other_browser(client: TestClient) -> TestClient:
    """Return a second browser at the same server, without cookies."""
    return TestClient(client.app, base_url=ADDRESS, raise_server_exceptions=False, follow_redirects=False)


def form_token(client: TestClient, path: str = "/app/sessions") -> str:
    """Return the token that a page carries."""
    found = re.search(r'name="form-token" content="(\w+)"', client.get(path, headers=PAGE).text)
    assert found is not None, path
    return found[1]


def log_in(client: TestClient, password: str = PASSWORD, target: str = "") -> int:
    """Log in through the form; returns the status."""
    fields = {"password": password, "next": target, "form_token": form_token(client, "/app/login")}
    return client.post("/app/login", data=fields).status_code

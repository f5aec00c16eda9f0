"""HEAD works wherever GET does, OPTIONS lists the methods of a path, and a 405 names all of them."""

from __future__ import annotations

import asyncio
import re

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.types import Message

from smallsight.http.error_handlers import handle_errors
from smallsight.http.known_methods import KnownMethods, MethodTable, RouteMethods

from .plain_errors import PlainErrors

ROUTED: list[str] = []


async def no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()

    @app.get("/thing")
    async def read() -> dict[str, str]:
        ROUTED.append("read")
        return {"is": "here"}

    @app.delete("/thing")
    async def remove() -> None:
        ROUTED.append("remove")

    @app.post("/only-post")
    async def post() -> None:
        ROUTED.append("post")

    table = MethodTable(
        [
            RouteMethods("", route.path_regex, frozenset(route.methods))
            for route in app.routes
            if hasattr(route, "path_regex")
        ]
    )
    app.state.methods = table
    handle_errors(app, PlainErrors())
    ROUTED.clear()
    return TestClient(KnownMethods(app, table))


def test_head_is_get_without_its_body(client: TestClient):
    get, head = client.get("/thing"), client.head("/thing")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))
    assert ROUTED == ["read", "read"]
    assert client.head("/only-post").status_code == 405
    assert client.head("/nowhere").status_code == 404


def test_options_lists_methods_and_calls_no_route(client: TestClient):
    for path, allowed in (("/thing", "DELETE, GET, HEAD, OPTIONS"), ("/only-post", "OPTIONS, POST")):
        answer = client.options(path)
        assert (answer.status_code, answer.content, answer.headers["allow"]) == (204, b"", allowed)
        assert "access-control-allow-origin" not in answer.headers
    assert client.options("/nowhere").status_code == 404
    assert ROUTED == []


def test_options_of_the_whole_server_lists_all_its_methods(client: TestClient):
    """The target * is no path: RFC 9110, section 9.3.7. Clients that build URLs cannot send it."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "OPTIONS", "path": "*", "raw_path": b"*", "headers": []}
    asyncio.run(client.app(scope, no_body, send))
    assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], sent[1]["body"]) == (204, b"")
    assert dict(sent[0]["headers"])[b"allow"] == b"DELETE, GET, HEAD, OPTIONS, POST"
    assert client.options("/*").status_code == 404
    assert ROUTED == []


def test_a_405_names_the_methods_of_all_routes_of_its_path(client: TestClient):
    assert client.put("/thing").headers["allow"] == "DELETE, GET, HEAD, OPTIONS"
    assert client.patch("/only-post").headers["allow"] == "OPTIONS, POST"


def test_a_route_below_a_prefix_is_known_by_its_whole_path():
    table = MethodTable([RouteMethods("/app", re.compile("^/files/[^/]+$"), frozenset({"GET"}))])
    assert table.declared("/app/files/1") == {"GET"}
    assert table.declared("/files/1") == table.declared("/app/files/1/2") == set()
    assert table.allow_header("/nothing") == ""

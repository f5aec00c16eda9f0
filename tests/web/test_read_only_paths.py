from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.routing import BaseRoute, Match

from smallsight.services.live_settings import LiveSettings
from smallsight.services.serving import Serving
from smallsight.web.read_only_paths import is_events_line, is_read_only, is_read_only_line
from smallsight.web.tenant import make_web_app

HASH = "0f" * 32
READS = [
    "/app/",
    "/app/results",
    "/app/tiles",
    "/app/pictures/12",
    f"/app/thumbs/320/{HASH}",
    f"/app/files/{HASH}",
    "/app/static/vendor/htmx.js",
    "/app/tag-colours.css",
]
OTHERS = [
    "/",
    "/app",
    "/health",
    "/v1/models",
    "/app/models",
    "/app/folders",
    "/app/uploads",
    "/app/settings",
    "/app/login",
    "/app/events",
    "/app/pictures/12/description",
    "/app/pictures/x",
    "/app/files/12",
    "/app/static/%2e%2e/x",
    "/app/Results",
    "//app/",
]


@pytest.mark.parametrize("path", READS)
def test_a_read_is_known_by_its_line_and_by_its_path(path: str):
    for method in ("GET", "HEAD"):
        assert is_read_only(method, path)
        for query in ("", "?q=caf%C3%A9&start=30", "?"):
            assert is_read_only_line(f"{method} {path}{query} HTTP/1.1\r\n".encode())
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"):
        assert not is_read_only(method, path)
        assert not is_read_only_line(f"{method} {path} HTTP/1.1\r\n".encode())


def test_each_is_a_route_of_the_pages_that_answers_get(tmp_path: Path):
    async def routes() -> list[BaseRoute]:
        serving = Serving(LiveSettings({"home": tmp_path}))
        try:
            return list(make_web_app(serving).app.routes)
        finally:
            await serving.close()

    with ThreadPoolExecutor() as other:  # in which no browser of another test has a loop
        known = other.submit(asyncio.run, routes()).result()
    for path in READS:
        scope = {"type": "http", "method": "GET", "path": path.removeprefix("/app"), "root_path": ""}
        assert [one for one in known if one.matches(scope)[0] is Match.FULL], path


@pytest.mark.parametrize("path", OTHERS)
def test_everything_else_is_for_the_main_process(path: str):
    assert not is_read_only("GET", path)
    assert not is_read_only_line(f"GET {path} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"G",
        b"GET /app/",
        b"GET /app/ HTTP/1.1",
        b"GET /app/ HTTP/1.1\n",
        b"GET /app/ HTTP/1.0\r\n",
        b"GET  /app/ HTTP/1.1\r\n",
        b"GET http://localhost/app/ HTTP/1.1\r\n",
        b"GET /app/?a b HTTP/1.1\r\n",
        b" GET /app/ HTTP/1.1\r\n",
    ],
)
def test_a_line_that_is_unusual_or_not_whole_is_for_the_main_process(line: bytes):
    assert not is_read_only_line(line)


def test_the_socket_of_open_pages_is_known():
    assert is_events_line(b"GET /app/events?topics=work,library HTTP/1.1\r\n")
    assert not is_events_line(b"GET /app/events/x HTTP/1.1\r\n")
    assert not is_events_line(b"POST /app/events HTTP/1.1\r\n")

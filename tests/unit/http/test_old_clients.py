"""What clients of HTTP/1.0, and those that are careless with line ends, may send."""

from __future__ import annotations

import socket

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from smallsight.http.error_shape import ErrorShapes
from smallsight.http.walls import with_walls
from smallsight.settings import ServerSettings

from .loopback import serving
from .plain_errors import PlainErrors

POST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\nhi"
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body() or b"nothing")


@pytest.fixture(scope="module")
def port():
    routes = Starlette(routes=[Route("/", echo, methods=["GET", "POST"])])
    app = with_walls(routes, ServerSettings(), ErrorShapes(PlainErrors()), lambda *_: None)
    with serving(app, "none") as port:
        yield port


def answers(port: int, *pieces: bytes) -> list[bytes]:
    """Return the first line of each answer to these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        for piece in pieces:
            client.sendall(piece)
        received = b""
        while more := client.recv(65536):
            received += more
    return [
        line for line in received.replace(b"HTTP/1.1 ", b"\nHTTP/1.1 ").splitlines() if b"HTTP/1.1 " in line
    ]


OK = b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("empty", [b"\r\n", b"\n", b"\r\n\r\n"])
def test_empty_lines_before_a_request_are_ignored(port: int, empty: bytes):
    assert answers(port, empty + GET) == [OK]
    assert answers(port, empty, GET) == [OK]
    assert answers(port, POST + empty + GET) == [OK, OK]
    assert answers(port, POST + empty, empty, GET) == [OK, OK]


def test_line_ends_in_a_body_are_the_bodys(port: int):
    post = POST.replace(b"Length: 2", b"Length: 4").replace(b"hi", b"\r\n\r\n")
    assert answers(port, post + GET) == [OK, OK]


def test_http_1_0_may_name_no_host_and_later_versions_must(port: int):
    assert answers(port, b"GET / HTTP/1.0\r\n\r\n") == [OK]
    assert answers(port, b"GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n") == [b"HTTP/1.1 400 Bad Request"]
    assert answers(port, b"GET / HTTP/1.1\r\n\r\n") == [b"HTTP/1.1 400 Bad Request"]


@pytest.mark.parametrize("header", ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site"])
def test_a_page_of_another_site_gains_nothing_by_naming_no_host(port: int, header: str):
    request = f"POST / HTTP/1.0\r\n{header}\r\nContent-Length: 0\r\n\r\n".encode()
    assert answers(port, request) == [b"HTTP/1.1 403 Forbidden"]

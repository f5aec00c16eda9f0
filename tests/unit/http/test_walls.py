"""WebSocket handshakes through all layers and a real uvicorn: who gets in, what strangers see, and counts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from structlog.testing import capture_logs

from smallsight.errors import BadRequestError
from smallsight.http.admission import Admission
from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.http.authorise import Gate, guarded_socket
from smallsight.http.error_handlers import handle_errors
from smallsight.http.error_shape import ErrorShapes
from smallsight.http.page_password import PagePassword
from smallsight.http.walls import with_walls
from smallsight.settings import ServerSettings

from .loopback import Client, OfferingNoResponses, ServerSide, serving
from .plain_errors import PlainErrors

ALLOWED = "https://gallery.example"


class Toy:
    """A tenant with WebSocket routes, and what happened to them."""

    def __init__(self, home: Path) -> None:
        self.entered: list[str] = []
        self.counted: list[tuple[str, str, int]] = []
        self.lines: list[MutableMapping[str, Any]] = []
        self.keys = ApiKeys(home / "keys.json")
        self.tenant = Starlette(
            routes=[
                WebSocketRoute("/echo", self.echo),
                WebSocketRoute("/locked", guarded_socket(Scope.USE, self.echo)),
                WebSocketRoute("/waits", self.waits),
                WebSocketRoute("/refuses/{when}", self.refuses),
                WebSocketRoute("/breaks/{when}", self.breaks),
            ]
        )
        self.tenant.state.gate = Gate(
            self.keys, PagePassword(home / "password.json"), Admission(1), is_exposed=True
        )
        handle_errors(self.tenant, PlainErrors())
        inside = Starlette(routes=[Mount("/toy", self.tenant)])
        given = ServerSettings(allowed_origins=[ALLOWED], max_body_bytes=1024)
        self.asgi = with_walls(inside, given, ErrorShapes(PlainErrors()), self.count)

    def count(self, route: str, method: str, status: int, _: float) -> None:
        self.counted.append((route, method, status))

    async def echo(self, websocket: WebSocket) -> None:
        self.entered.append(websocket.url.path)
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            async for text in websocket.iter_text():
                await websocket.send_text(f"echo {text}")

    async def waits(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()

    async def refuses(self, websocket: WebSocket) -> None:
        if websocket.path_params["when"] == "after":
            await websocket.accept()
        raise BadRequestError("No.", param="x")

    async def breaks(self, websocket: WebSocket) -> None:
        if websocket.path_params["when"] == "after":
            await websocket.accept()
        raise ZeroDivisionError("secret")


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Toy]:
    toy = Toy(tmp_path)
    with capture_logs() as toy.lines:
        yield toy


@pytest.fixture(params=[ServerSide, OfferingNoResponses], ids=["with-responses", "without"])
def either(request: pytest.FixtureRequest, toy: Toy) -> Iterator[tuple[int, bool]]:
    """The port of a server, and whether it lets a handshake be refused with a response."""
    with serving(toy.asgi, request.param) as port:
        yield port, request.param.offers_responses


def test_a_websocket_of_ones_own_works_and_is_counted(toy: Toy, either: tuple[int, bool]):
    with Client(either[0], "/toy/echo", x_request_id="mine") as client:
        assert (client.status, client.headers["x-request-id"]) == (101, "mine")
        assert client.ask("a") == "echo a"
        assert client.ask("b" * 900) == "echo " + "b" * 900
        assert toy.counted == [("/toy/echo", "WEBSOCKET", 101)]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://127.0.0.1:PORT"}, 101),
        ({"origin": ALLOWED}, 101),
        ({"sec_fetch_site": "same-origin"}, 101),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"host": "evil.example", "origin": "http://evil.example"}, 403),
        ({"host": "evil.example"}, 403),
    ],
    ids=str,
)
def test_strangers_are_refused_before_the_application_sees_them(
    toy: Toy, either: tuple[int, bool], headers: dict[str, str], status: int
):
    port, offers_responses = either
    with Client(port, "/toy/echo", **headers) as client:
        assert client.status == status
        if status == 101:
            assert client.ask("a") == "echo a"
        elif offers_responses:
            assert client.body.startswith("forbidden: ")
            assert client.headers["x-content-type-options"] == "nosniff"
    assert toy.entered == (["/toy/echo"] if status == 101 else [])
    if status == 403:
        assert toy.counted == [("unmatched", "WEBSOCKET", 403)]
        (line,) = (one for one in toy.lines if one["event"] == "request")
        assert (line["method"], line["status"], line["client"]) == ("WEBSOCKET", 403, "127.0.0.1")


def test_a_route_may_want_a_key(toy: Toy, either: tuple[int, bool]):
    port, offers_responses = either
    keys = {scope: toy.keys.add(scope, frozenset({scope})) for scope in Scope}
    for authorization, status in [("Bearer no", 401), (f"Bearer {keys[Scope.MONITOR]}", 403)]:
        with Client(port, "/toy/locked", authorization=authorization) as client:
            assert client.status == (status if offers_responses else 403)
            if offers_responses and status == 401:
                assert client.headers["www-authenticate"] == "Bearer"
                assert client.body.startswith("invalid_api_key: ")
    assert toy.entered == []
    with Client(port, "/toy/locked", authorization=f"Bearer {keys[Scope.USE]}") as client:
        assert client.ask("a") == "echo a"
    assert [status for _, _, status in toy.counted][-1] == 101


def test_a_route_that_refuses_or_breaks_is_answered_in_its_shape(toy: Toy, either: tuple[int, bool]):
    port, offers_responses = either
    with Client(port, "/toy/refuses/before") as client:
        assert client.status == (400 if offers_responses else 403)
        assert client.body == ("bad_request: No." if offers_responses else "")
    with Client(port, "/toy/breaks/before") as client:
        assert client.status == (500 if offers_responses else 403)
        assert "secret" not in client.body
    with Client(port, "/toy/refuses/after") as client:
        assert client.close_code() == 1008
    with Client(port, "/toy/breaks/after") as client:
        assert client.close_code() == 1011
    with Client(port, "/toy/nowhere") as client:
        assert client.status == 403


def test_a_client_that_leaves_is_no_failure(toy: Toy):
    with serving(toy.asgi) as port, Client(port, "/toy/waits") as client:
        assert client.status == 101
    assert [line["event"] for line in toy.lines if line["log_level"] != "debug"] == [
        "request",
        "client_left_websocket",
        "websocket_closed",
    ]


def test_a_large_message_closes_the_connection(toy: Toy, either: tuple[int, bool]):
    with Client(either[0], "/toy/echo") as client:
        client.send("a" * 1025)
        assert client.close_code() == 1009


def test_a_large_head_is_refused(toy: Toy, either: tuple[int, bool]):
    port, offers_responses = either
    with Client(port, "/toy/echo", **{f"x{n}": "a" * 4000 for n in range(9)}) as client:
        assert client.status == (413 if offers_responses else 403)
    assert toy.entered == []


def test_where_there_are_no_websockets_an_upgrade_from_a_foreign_page_is_refused_too(toy: Toy):
    with serving(toy.asgi, "none") as port:
        with Client(port, "/toy/echo", origin="https://evil.example") as client:
            assert client.status == 403
        with Client(port, "/toy/echo") as client:
            assert client.status == 404
    assert toy.entered == []

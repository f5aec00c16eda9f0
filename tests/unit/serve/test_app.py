"""A tenant with another protocol inside the same walls as OpenAI's: each answers in its own shape."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket
from structlog.testing import capture_logs

from smallsight.errors import SmallsightError, TooManyRequestsError
from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.http.authorise import authorise, guarded_socket
from smallsight.http.error_shape import public_message
from smallsight.serve.app import make_app
from smallsight.serve.tenants import Tenant
from smallsight.services.live_settings import LiveSettings
from smallsight.services.serving import Serving


class TextErrors:
    """One line of text: nothing like OpenAI's object."""

    def of_error(self, error: SmallsightError) -> Response:
        return PlainTextResponse(f"{error.code}: {public_message(error)}", error.http_status)

    def of_status(self, status: int, message: str) -> Response:
        return PlainTextResponse(f"{status}: {message}", status)


async def full(request: Request) -> Response:
    raise TooManyRequestsError("Full.", retry_after_s=9)


async def breaks(request: Request) -> Response:
    raise ZeroDivisionError("secret")


async def reads(request: Request) -> Response:
    authorise(request, Scope.USE)
    return PlainTextResponse(str(len(await request.body())))


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())


class Lives:
    def __init__(self) -> None:
        self.log: list[str] = []

    @asynccontextmanager
    async def __call__(self, _: Starlette) -> AsyncIterator[None]:
        self.log.append("began")
        yield
        self.log.append("ended")


@pytest.fixture
def lives() -> Lives:
    return Lives()


@pytest.fixture
def client(tmp_path: Path, lives: Lives) -> Iterator[TestClient]:
    toy = Starlette(
        routes=[
            Route("/full", full),
            Route("/breaks", breaks),
            Route("/reads", reads, methods=["POST"]),
            WebSocketRoute("/echo", guarded_socket(Scope.USE, echo)),
        ],
        lifespan=lives,
    )
    settings = LiveSettings({"home": tmp_path, "active_model": "test", "server": {"max_body_bytes": 2000}})
    app = make_app(Serving(settings), tenants=[Tenant("/toy", toy, TextErrors())])
    with (
        capture_logs(),
        TestClient(app.asgi, base_url="http://127.0.0.1", raise_server_exceptions=False) as client,
    ):
        yield client


def is_openai(response: Response) -> bool:
    return set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_each_answers_its_own_errors_in_its_own_shape(client: TestClient):
    answer = client.get("/toy/full")
    assert (answer.status_code, answer.text) == (429, "too_many_requests: Full.")
    assert answer.headers["retry-after"] == "9"
    assert client.get("/toy/nowhere").text == "404: Not found: /toy/nowhere."
    assert client.put("/toy/full").text == "405: Method not allowed: PUT."
    broken = client.get("/toy/breaks")
    assert broken.text == "internal: The request failed. The server's log says why."
    for path in ("/nowhere", "/toys/nowhere", "/v1/models/unknown"):
        assert client.get(path).status_code == 404
        assert is_openai(client.get(path))


def test_the_walls_answer_a_tenants_strangers_in_its_shape(client: TestClient):
    for path, is_the_tenants in (("/toy/reads", True), ("/v1/chat/completions", False)):
        for answer in (
            client.post(path, headers={"host": "evil.example"}),
            client.post(path, headers={"origin": "https://evil.example"}),
            client.post(path, content=b"a" * 2001),
        ):
            assert answer.status_code in (400, 403, 413)
            assert answer.headers["content-type"].startswith("text/plain") == is_the_tenants
            assert is_the_tenants or is_openai(answer)


def test_a_tenants_requests_are_counted_by_route(client: TestClient):
    assert client.post("/toy/reads", content=b"abc").text == "3"
    with client.websocket_connect("ws://127.0.0.1/toy/echo") as socket:
        socket.send_text("a")
        assert socket.receive_text() == "a"
    counted = client.get("/metrics").text
    assert 'smallsight_requests_total{method="POST",route="/toy/reads",status="200"} 1.0' in counted
    assert 'smallsight_requests_total{method="WEBSOCKET",route="/toy/echo",status="101"} 1.0' in counted


def test_one_set_of_keys_opens_all_tenants(client: TestClient, tmp_path: Path):
    keys = {scope: ApiKeys(tmp_path / "api-keys.json").add(scope, frozenset({scope})) for scope in Scope}
    assert client.post("/toy/reads").text.startswith("invalid_api_key: ")
    assert client.post("/toy/reads", headers={"authorization": f"Bearer {keys[Scope.USE]}"}).text == "0"
    for headers, status in (({}, 401), ({"authorization": f"Bearer {keys[Scope.MONITOR]}"}, 403)):
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            client.websocket_connect("ws://127.0.0.1/toy/echo", headers=headers),
        ):
            pass
        assert refused.value.status_code == status
    with client.websocket_connect(
        "ws://127.0.0.1/toy/echo", headers={"authorization": f"Bearer {keys[Scope.USE]}"}
    ):
        pass


def test_a_tenant_lives_as_long_as_the_server(tmp_path: Path, lives: Lives):
    toy = Starlette(lifespan=lives)
    app = make_app(Serving(LiveSettings({"home": tmp_path})), tenants=[Tenant("/toy", toy, TextErrors())])
    with TestClient(app.asgi, base_url="http://127.0.0.1"):
        assert lives.log == ["began"]
    assert lives.log == ["began", "ended"]

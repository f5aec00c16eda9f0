"""One application's errors have one shape; the next application's have another."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from smallsight.errors import TooManyRequestsError
from smallsight.http.error_handlers import handle_errors, invalid_request

from .plain_errors import PlainErrors


class Body(BaseModel):
    number: int


def application(shape: PlainErrors) -> FastAPI:
    app = FastAPI()

    @app.post("/full")
    async def full(body: Body) -> None:
        raise TooManyRequestsError("Full.", retry_after_s=body.number)

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("secret")

    handle_errors(app, shape)
    return app


@pytest.fixture
def client() -> TestClient:
    return TestClient(application(PlainErrors()), raise_server_exceptions=False)


def test_every_way_to_fail_has_the_shape(client: TestClient):
    full = client.post("/full", json={"number": 7})
    assert (full.status_code, full.text, full.headers["retry-after"]) == (
        429,
        "too_many_requests: Full.",
        "7",
    )
    wrong = client.post("/full", json={"number": "x"})
    assert wrong.status_code == 400
    assert wrong.text.startswith("bad_request: number: ")
    assert client.get("/nowhere").text == "404: Not found: /nowhere."
    method = client.get("/full")
    assert (method.text, method.headers["allow"]) == ("405: Method not allowed: GET.", "POST")
    broken = client.get("/broken")
    assert (broken.status_code, broken.text) == (
        500,
        "internal: The request failed. The server's log says why.",
    )


def test_a_client_that_leaves_while_it_sends_is_no_error_of_the_server():
    app, sent = application(PlainErrors()), []

    @app.post("/reads")
    async def reads(request: Request) -> Response:
        return Response(await request.body())

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/reads", "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 499


def test_an_application_beside_it_keeps_its_shape(client: TestClient):
    class Others(PlainErrors):
        def of_status(self, status, message):
            response = super().of_status(status, message)
            response.headers["x-shape"] = "other"
            return response

    assert isinstance(client.app, FastAPI)
    client.app.mount("/other", application(Others()))
    assert client.get("/other/nowhere").headers["x-shape"] == "other"
    assert "x-shape" not in client.get("/nowhere").headers


def test_what_is_wrong_with_a_body_names_its_place():
    problem = {"type": "int_type", "loc": ("body", "messages", 0, "role"), "msg": "Input\n should be"}
    error = invalid_request([problem])
    assert (error.message, error.param) == ("messages.0.role: Input should be.", "messages.0.role")
    assert "not JSON" in invalid_request([{"type": "json_invalid", "loc": ("body", 5), "msg": "x"}]).message
    assert "object" in invalid_request([{"type": "missing", "loc": ("body",), "msg": "x"}]).message


class Named(BaseModel):
    name: str


class Either(BaseModel):
    value: Named | str


def test_an_object_is_called_an_object_in_every_sentence():
    for given in ([], 5, None):
        try:
            Either.model_validate({"value": given}, strict=True)
        except ValidationError as error:
            told = invalid_request(error.errors(), {"value": given}).message
        assert told == "value: Input should be an object or a valid string."
    app = FastAPI()

    @app.post("/either")
    async def either(body: Either) -> None:
        pass

    handle_errors(app, PlainErrors())
    told = TestClient(app).post("/either", json={"value": []}).text
    assert told.endswith("value: Input should be an object or a valid string.")


def test_the_hint_at_a_route_of_a_mounted_application_has_its_prefix():
    inside, outside = Starlette(routes=[Route("/live", lambda _: Response())]), Starlette()
    outside.mount("/app", inside)
    handle_errors(inside, PlainErrors())
    told = TestClient(outside).get("/app/other/app/live").text
    assert told.endswith("hint: the route is /app/live.")
    assert "hint" not in TestClient(outside).get("/app/other/live").text

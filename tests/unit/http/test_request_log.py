"""The outermost layer: what reaches the client, the log and the metrics when something goes wrong inside."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from smallsight.http.request_log import RequestLog

from .plain_errors import PLAIN


class Counts:
    def __init__(self) -> None:
        self.counted: list[tuple[str, str, int]] = []

    def __call__(self, route: str, method: str, status: int, _: float) -> None:
        self.counted.append((route, method, status))


def run(app, *, send=None, method: str = "GET") -> tuple[list[dict], Counts]:
    sent: list[dict] = []
    counts = Counts()

    async def keep(message: dict) -> None:
        sent.append(message)

    async def receive() -> dict:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "path": "/", "method": method, "headers": [], "client": ("127.0.0.1", 5)}
    asyncio.run(RequestLog(app, PLAIN, counts)(scope, receive, send or keep))
    return sent, counts


async def answers(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"public")]})
    await send({"type": "http.response.body", "body": b"{}"})


def test_headers_are_added_and_those_of_the_answer_stay():
    sent, counts = run(answers)
    headers = dict(sent[0]["headers"])
    assert headers[b"cache-control"] == b"public"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"x-request-id"].startswith(b"req_")
    assert counts.counted == [("unmatched", "GET", 200)]


def test_a_status_is_counted_as_a_number():
    async def refuses(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": HTTPStatus.BAD_REQUEST, "headers": []})

    _, counts = run(refuses)
    assert repr(counts.counted[0][2]) == "400"


def test_an_error_nobody_foresaw_is_an_answer_that_tells_nothing():
    async def fails(scope, receive, send) -> None:
        raise ZeroDivisionError("secret")

    sent, counts = run(fails)
    assert sent[0]["status"] == 500
    assert "secret" not in sent[1]["body"].decode()
    assert counts.counted == [("unmatched", "GET", 500)]


def test_an_error_after_the_answer_began_ends_the_request_alone():
    async def fails(scope, receive, send) -> None:
        await answers(scope, receive, send)
        raise ZeroDivisionError

    sent, _ = run(fails)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


def test_a_request_cut_off_by_the_end_of_the_server_is_counted():
    async def cancelled(scope, receive, send) -> None:
        raise asyncio.CancelledError

    _, counts = run(cancelled, method="BREW")
    assert counts.counted == [("unmatched", "other", 499)]

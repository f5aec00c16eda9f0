"""Absurd requests in every protocol: each is refused in its own words, and the next one is answered."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from error_bodies import require_error
from scale import scaled

from .every_protocol import PICTURE, SPOKEN, Spoken, changed, everything, places
from .serving import Server
from .test_serve_absurd import lying_png

ALL_WRONG = (None, True, -1, 10**30, 1e308, "\ud83d", "a\0b", [], {}, [[]], {"a": {"b": 1}})
WRONG = ALL_WRONG if scaled(1) > 1 else (-1, "\ud83d", {"a": {"b": 1}})
DEEP = b"[" * 100_000
BODIES = {
    "nothing": b"",
    "spaces": b" \n\t",
    "half an object": b'{"model": "test"',
    "a list": b"[]",
    "a text": b'"a"',
    "a number": b"1",
    "null": b"null",
    "not a number": b'{"model": NaN}',
    "a raw NUL": b'{"model": "te\0st"}',
    "UTF-16": '{"model": "test"}'.encode("utf-16"),
    "half UTF-8": b'{"model": "\xff"}',
    "arrays in arrays": DEEP,
    "objects in objects": b'{"a":' * 100_000,
    "a name of two megabytes": b'{"' + b"a" * 2_200_000 + b'":1}',
    "many values": b'{"model": [' + b"0," * 300_000 + b"0]}",
    "many values of any kind": b"{}," * 300_000,
}
KINDS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "image/png", "a/b/c", "")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with everything(tmp_path_factory.mktemp("absurd")) as one:
        yield one


def send(server: Server, spoken: Spoken, body: bytes, **headers: str) -> httpx2.Response:
    """Send a body; an error has to be one of the protocol, and the server has to live on."""
    answer = server.http.post(spoken.path, content=body, headers=spoken.headers | headers)
    if answer.status_code >= 400:
        assert answer.status_code < 500 or answer.status_code in (501, 503), answer.text
        require_error(spoken.path, answer.json())
        assert len(answer.content) < 20_000
    return answer


def must_refuse(server: Server, spoken: Spoken, body: bytes, **headers: str) -> str:
    answer = send(server, spoken, body, **headers)
    assert 400 <= answer.status_code < 500, (body[:200], answer.text[:500])
    return require_error(spoken.path, answer.json())


def written(body: Any) -> bytes:
    return json.dumps(body).encode()


@pytest.fixture(params=SPOKEN, ids=lambda one: one.path)
def spoken(request: pytest.FixtureRequest, server: Server) -> Iterator[Spoken]:
    one: Spoken = request.param
    yield one
    assert send(server, one, written(one.body)).status_code in (200, 400)  # `test` does not count tokens


@pytest.mark.mostly_slow(2)
def test_a_body_that_is_no_request_is_refused(server: Server, spoken: Spoken):
    for name, body in BODIES.items():
        print(name, must_refuse(server, spoken, body)[:100])


@pytest.mark.mostly_slow(2)
def test_a_wrong_value_in_any_field_is_refused_or_answered(server: Server, spoken: Spoken):
    for path in places(spoken.body):
        for value in WRONG:
            send(server, spoken, written(changed(spoken.body, path, value)))


@pytest.mark.mostly_slow(2)
def test_fields_twice_unknown_or_deep_do_no_harm(server: Server, spoken: Spoken):
    plain = written(spoken.body)
    for name in spoken.body:
        send(server, spoken, plain[:-1] + b"," + written(name) + b":[]}")
        send(server, spoken, plain[:-1] + b"," + written(name) + b":" + DEEP[:150] + b"]" * 150 + b"}")
        must_refuse(server, spoken, plain[:-1] + b"," + written(name) + b":" + DEEP[:300] + b"]" * 300 + b"}")
        must_refuse(server, spoken, plain[:-1] + b"," + written(name) + b":1" + b"0" * 100_000 + b"}")
    unknown = {f"unknown_{number}": {"a": [number]} for number in range(1000)}
    assert send(server, spoken, written(unknown | spoken.body)).status_code in (200, 400)


@pytest.mark.mostly_slow(2)
def test_a_list_of_ten_thousand_is_refused(server: Server, spoken: Spoken):
    if not spoken.texts:
        return
    given: Any = spoken.body
    for part in spoken.texts:
        given = given[part]
    many = written(changed(spoken.body, spoken.texts, ["a" if isinstance(given[0], str) else {}] * 10_000))
    answer = send(server, spoken, many)
    assert 400 <= answer.status_code < 500 or answer.json()["result"]["isError"]


@pytest.mark.mostly_slow(2)
def test_a_picture_that_is_none_is_refused(server: Server, spoken: Spoken):
    if not spoken.picture:
        return

    huge = base64.b64encode(lying_png(2**31 - 1, 2**31 - 1)).decode()
    text = "data:text/plain;base64,aGVsbG8="
    for one in (
        "",
        "!",
        "A",
        PICTURE[:40],
        "é" * 100,
        "A" * 1_000_000,
        huge,
        text,
        "data:,",
        "file:///etc/passwd",
    ):
        prefix = "data:image/png;base64," if spoken.picture[-1] == "image_url" and ":" not in one else ""
        must_refuse(server, spoken, written(changed(spoken.body, spoken.picture, prefix + one)))


@pytest.mark.mostly_slow(2)
def test_another_content_type_is_no_way_around_the_limits(server: Server, spoken: Spoken):
    for kind in KINDS:
        send(server, spoken, written(spoken.body), **{"content-type": kind})
        must_refuse(server, spoken, BODIES["many values"], **{"content-type": kind})
        must_refuse(server, spoken, DEEP, **{"content-type": kind})
    must_refuse(server, spoken, b"\x1f\x8b\x08\0", **{"content-encoding": "gzip"})


@pytest.mark.mostly_slow(2)
def test_a_chunked_body_that_breaks_off_or_lies_is_refused(server: Server, spoken: Spoken):
    head = f"POST {spoken.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for chunks in (
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-1\r\n",
        b"2\r\n{}{}\r\n0\r\n\r\n",
        b"f" * 30 + b"\r\n{}",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks)
            assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_forms_of_immich_that_make_no_sense_are_refused(server: Server):
    good = json.dumps({"ocr": {"detection": {"modelName": "a"}, "recognition": {"modelName": "a"}}})
    forms: list[dict[str, Any]] = [
        {},
        {"data": {"entries": good}},
        {"data": {"entries": good, "image": "text"}},
        {"data": {"entries": "[" * 100_000}},
        {"data": {"entries": "{" * 60_000}},
        {"data": {"entries": '{"a":' * 10_000}},
        {"data": {"entries": "a\0b"}},
        {"data": {"entries": '{"ocr": {"recognition": {"modelName": "a", "options": {"minScore": 1e400}}}}'}},
        {"data": {"entries": json.dumps({"clip": {"textual": {"modelName": "x" * 1000}}})}},
        {"data": {"entries": good} | {f"field{number}": "a" for number in range(100)}},
        {"data": {"entries": good, "text": "a" * 2_000_000}},
        *(
            {"data": {"entries": good}, "files": {"image": ("a", data)}}
            for data in (b"", b"GIF89a", b"\0" * 1000)
        ),
        {"data": {"entries": good}, "files": {"image": ("a", lying_png(2**31 - 1, 2**31 - 1))}},
        {"data": {"entries": good}, "files": [("image", ("a", b"a")), ("image", ("b", b"b"))]},
        {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data"}},
        {"content": b"--x\r\nno header", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": b"a=b", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        {"content": b"\xff" * 1000, "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"content": good.encode(), "headers": {"content-type": "application/json"}},
    ]
    for form in forms:
        answer = server.http.post("/predict", **form)
        assert 400 <= answer.status_code < 500, (form, answer.text)
        require_error("/predict", answer.json())
    assert server.http.get("/ping").text == "pong"


def test_names_in_paths_that_make_no_sense_are_refused(server: Server):
    for path in (
        "/v1/responses/{}",
        "/v1/responses/{}/input_items",
        "/generator/remove_job/{}",
        "/api/{}",
        "/v1/messages/{}",
        "/mcp/{}",
        "/predict/{}",
    ):
        for name in ("%00", "%ff", "a" * 10_000, "..%2f..", "%0d%0a", "9" * 400, "%F0%9F%98%80"):
            answer = server.http.request("DELETE" if "remove" in path else "GET", path.format(name))
            assert answer.status_code in (400, 404, 405, 422), (path, name, answer.text)
            require_error(path, answer.json())

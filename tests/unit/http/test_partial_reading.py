"""Conditional requests and ranges of files are answered as in RFC 9110, also where Starlette refuses them."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from smallsight.http.partial_reading import is_known_to_client, keep_usable_range

SIZE = 100


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(SIZE)))

    async def answer(request: Request) -> Response:
        status = file.stat()
        response = FileResponse(file, stat_result=status)
        if is_known_to_client(request.headers, response.headers["etag"], status.st_mtime):
            return Response(status_code=304)
        keep_usable_range(request.scope, status.st_size)
        return response

    return TestClient(Starlette(routes=[Route("/", answer)]))


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-9", 206, "bytes 0-9/100"),
        ("bytes=90-", 206, "bytes 90-99/100"),
        ("bytes=-5", 206, "bytes 95-99/100"),
        ("bytes=-500", 206, "bytes 0-99/100"),
        ("BYTES = 0 - 9", 206, "bytes 0-9/100"),
        ("bytes=0-9,200-299", 206, "bytes 0-9/100"),
        ("bytes=200-299, -5, 300-", 206, "bytes 95-99/100"),
        ("bytes=200-", 416, "bytes */100"),
        ("bytes=-0", 416, "bytes */100"),
        ("items=0-9", 200, None),
        ("bytes=9-0", 200, None),
        ("bytes=a-b", 200, None),
        ("bytes=0-9,x", 200, None),
        ("bytes=", 200, None),
        ("bytes", 200, None),
        ("bytes=" + ",".join(f"{one}-{one}" for one in range(0, 202, 2)), 200, None),
    ],
)
def test_what_a_file_has_of_a_range_is_sent_and_what_does_not_count_is_ignored(client, wanted, status, part):
    answer = client.get("/", headers={"range": wanted})
    assert (answer.status_code, answer.headers.get("content-range")) == (status, part)
    if status == 200:
        assert answer.content == bytes(range(SIZE))


def test_several_ranges_come_as_one_answer_of_several_parts(client):
    answer = client.get("/", headers={"range": "bytes=0-1,98-"})
    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert bytes([0, 1]) in answer.content
    assert bytes([98, 99]) in answer.content


def test_a_range_counts_for_get_only(client):
    answer = client.head("/", headers={"range": "bytes=0-9"})
    assert (answer.status_code, answer.headers["content-length"]) == (200, "100")


def test_a_client_that_has_the_file_gets_no_body(client):
    answer = client.get("/")
    etag, changed = answer.headers["etag"], answer.headers["last-modified"]
    old = "Thu, 01 Jan 1970 00:00:00 GMT"
    for headers, status in (
        ({"if-none-match": etag}, 304),
        ({"if-none-match": f"W/{etag}"}, 304),
        ({"if-none-match": f'"a,b", {etag}'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"other"'}, 200),
        ({"if-none-match": '"other"', "if-modified-since": changed}, 200),
        ({"if-modified-since": changed}, 304),
        ({"if-modified-since": old}, 200),
        ({"if-modified-since": "yesterday"}, 200),
    ):
        assert client.get("/", headers=headers).status_code == status, headers

"""What a body has to be before any route sees it: JSON, Unicode, and not too much of it."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from smallsight.errors import BadRequestError, InvalidTextError, RequestTooLargeError
from smallsight.http import json_body
from smallsight.http.json_body import MAX_STRUCTURAL, MAX_TEXT_CHARS, JsonBodies, is_json, parse_json

HALF, OTHER_HALF = "\ud83d", "\ude00"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"input": "a" + HALF}, "input"),
        ({"input": OTHER_HALF + "b"}, "input"),
        ({"input": OTHER_HALF + HALF}, "input"),
        ({"messages": [{"content": "good"}, {"content": [{"text": HALF}]}]}, "messages.1.content.0.text"),
        ({"a": {"b": [[HALF]]}}, "a.b.0.0"),
        ({"a": {HALF: 1}}, "a"),
        ({HALF: {"b": HALF}}, "The body of the request"),
        (HALF, "The body of the request"),
        ([HALF], "0"),
    ],
    ids=range(9),
)
def test_half_a_character_is_named_wherever_it_is(body: object, path: str):
    with pytest.raises(InvalidTextError) as caught:
        parse_json(json.dumps(body).encode())
    assert caught.value.http_status == 400
    assert caught.value.message.startswith(f"{path} is not valid text")
    assert caught.value.message.isascii()


def test_half_a_character_in_a_large_body_is_refused_too():
    body = {"picture": "data:," + "A" * 3_000_000, "text": HALF}
    with pytest.raises(InvalidTextError, match=r"^The body of the request is not valid text"):
        parse_json(json.dumps(body).encode())


def test_half_a_character_as_bytes_is_refused_too():
    with pytest.raises(InvalidTextError, match=r"^text is not valid text"):
        parse_json(b'{"text": "\xed\xa0\xbd"}')


@pytest.mark.parametrize("whole", ["\U0001f600", "\U0010ffff", "a\0b", "\ufffe", "e\u0301"])
def test_whole_characters_arrive_as_they_are(whole: str):
    for escapes in (True, False):
        assert parse_json(json.dumps({whole: [whole]}, ensure_ascii=escapes).encode()) == {whole: [whole]}


def test_a_byte_order_mark_is_passed_over():
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"a", b'{"a":}', b'"\xff"', b"[1,]", b"[" * 100_000, b'"\\ud83', b"{}{}"),
        b"9" * 5000,
    ],
)
def test_what_is_not_json_is_one_sentence(body: bytes):
    with pytest.raises(BadRequestError, match="The body is not JSON"):
        parse_json(body)


def test_values_are_bounded_whatever_the_content_type_says():
    some = b"[" + b"0," * (MAX_STRUCTURAL - 3) + b"0]"
    assert len(parse_json(some)) == MAX_STRUCTURAL - 2
    for many in (b"[" + b"0," * MAX_STRUCTURAL + b"0]", b"{}," * MAX_STRUCTURAL):
        with pytest.raises(RequestTooLargeError, match="too many values"):
            parse_json(many)


def test_text_is_bounded_but_not_pictures():
    picture = "data:image/png;base64," + "A" * (3 * MAX_TEXT_CHARS)
    assert parse_json(json.dumps({"url": picture, "video": {"data": picture[5:]}}).encode())
    assert parse_json(json.dumps({"messages": [{"images": [picture[22:]]}]}).encode())
    with pytest.raises(RequestTooLargeError, match="too much text"):
        parse_json(json.dumps({"images": {"a": picture[22:]}}).encode())
    with pytest.raises(RequestTooLargeError, match=f"limit {MAX_TEXT_CHARS}"):
        parse_json(json.dumps({"url": picture, "text": "a" * MAX_TEXT_CHARS}).encode())
    with pytest.raises(RequestTooLargeError, match="too much text"):
        parse_json(json.dumps({"a" * MAX_TEXT_CHARS + "b": 1}).encode())
    with pytest.raises(RequestTooLargeError, match="too much text"):
        parse_json(json.dumps({str(i): "a" * 1000 for i in range(MAX_TEXT_CHARS // 1000)}).encode())


def test_large_bodies_are_parsed_outside_the_event_loop_one_at_a_time(monkeypatch: pytest.MonkeyPatch):
    threads: list[threading.Thread] = []

    def parse(body: bytes) -> object:
        threads.append(threading.current_thread())
        return parse_json(body)

    monkeypatch.setattr(json_body, "parse_json", parse)

    async def work() -> None:
        bodies = JsonBodies()
        large = json.dumps(["a" * 1000] * 100).encode()
        assert await bodies.parse(b"[1]") == [1]
        assert len(await asyncio.gather(*(bodies.parse(large) for _ in range(4)))) == 4

    asyncio.run(work())
    assert threads[0] is threading.main_thread()
    assert len(set(threads[1:])) == 1
    assert threads[1] is not threading.main_thread()


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/vnd.api+json", True),
        ("text/plain", False),
        ("application/octet-stream", False),
        ("image/svg+json", False),
        ("", False),
    ],
)
def test_which_content_types_mean_json(content_type: str, expected: bool):
    assert is_json(content_type) == expected

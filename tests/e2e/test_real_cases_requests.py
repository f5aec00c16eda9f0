"""Requests as real clients send them, to a real server: each is answered, or refused in words.

``docs/real-world-log.md`` names the reports.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from .serving import Server, running

pytestmark = pytest.mark.slow

MODEL = "Smallsight-tiny"
HALF_AN_EMOJI = "\ud83d"
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


def disc(picture_format: str = "PNG", size: tuple[int, int] = (160, 120), mode: str = "RGB") -> bytes:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).ellipse((30, 20, 120, 100), fill="red")
    stream = io.BytesIO()
    image.convert(mode).save(stream, picture_format)
    return stream.getvalue()


BASE64 = base64.b64encode(disc()).decode()
URL = f"data:image/png;base64,{BASE64}"
PICTURE = {"type": "image_url", "image_url": {"url": URL}}
QUESTION = {"type": "text", "text": "What is this?"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("requests") / "home", "--model", MODEL, threads="1") as server:
        yield server


def asking(*content: Any, **options: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": list(content)}]
    return {"model": MODEL, "max_tokens": 4, "messages": messages, **options}


def about(url: str, **options: Any) -> dict[str, Any]:
    return asking(QUESTION, {"type": "image_url", "image_url": {"url": url}}, **options)


def answer(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    response = server.http.post(CHAT, json=body)
    assert response.status_code == 200, response.text
    choice: dict[str, Any] = response.json()["choices"][0]
    return choice


def refusal(server: Server, status: int, body: dict[str, Any]) -> str:
    response = server.http.post(CHAT, json=body)
    assert response.status_code == status, response.text
    message: str = response.json()["error"]["message"]
    return message


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(f"data:image/png;charset=utf-8;base64,{BASE64}", id="charset: vLLM#48973"),
        pytest.param(f" data:image/png;base64,{BASE64}\n", id="white space around it, as browsers allow"),
        pytest.param(f"data:image/png;name=a%20b.png;base64,{BASE64}", id="name: vLLM#46309"),
        pytest.param(f"DATA:IMAGE/PNG;BASE64,{BASE64}", id="capitals"),
        pytest.param(f"data:image/jpg;base64,{BASE64}", id="a type that does not exist"),
        pytest.param(f"data:;base64,{BASE64}", id="no type"),
        pytest.param(f"data:image/png;base64,{base64.encodebytes(disc()).decode()}", id="lines of 76"),
        pytest.param(
            "data:image/png;base64," + base64.encodebytes(disc()).decode().replace("\n", "\r\n"), id="CRLF"
        ),
        pytest.param(f"data:image/png;base64, {BASE64}", id="a space"),
        pytest.param(f"data:image/png;base64,{BASE64.rstrip('=')}", id="no padding"),
        pytest.param(
            "data:image/png;base64," + BASE64.replace("+", "%2B").replace("/", "%2F"), id="percent signs"
        ),
        pytest.param(
            "data:image/png;base64," + BASE64.replace("+", "-").replace("/", "_"), id="URL-safe alphabet"
        ),
    ],
)
def test_a_picture_in_any_spelling_of_a_data_url_is_the_same_picture(server: Server, url: str):
    assert answer(server, about(url)) == answer(server, about(URL))


@pytest.mark.parametrize(
    "drawn",
    [
        pytest.param({"picture_format": "WEBP"}, id="WebP: llama-cpp-python#1140"),
        pytest.param({"picture_format": "HEIF"}, id="HEIC"),
        pytest.param({"size": (1, 1)}, id="1x1"),
        pytest.param({"size": (1, 4_000)}, id="1x4000"),
        pytest.param({"size": (1_080, 20_000)}, id="1080x20000"),
        pytest.param({"picture_format": "JPEG", "size": (4_000, 3_000)}, id="12 megapixels"),
        pytest.param({"mode": "LA"}, id="grey and alpha"),
        pytest.param({"picture_format": "JPEG", "mode": "CMYK"}, id="CMYK"),
    ],
)
def test_pictures_of_any_kind_and_shape_declared_as_jpeg(server: Server, drawn: dict[str, Any]):
    pytest.importorskip("pillow_heif").register_heif_opener()
    url = f"data:image/jpeg;base64,{base64.b64encode(disc(**drawn)).decode()}"
    assert answer(server, about(url))["finish_reason"] in {"stop", "length"}


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": -1},
        {"max_tokens": None},
        {"max_tokens": 65_536},
        {"max_completion_tokens": 100_000},
        {"top_p": 0},
        {"top_k": -1},
        {"seed": -1},
        {"stop": []},
        {"tools": [], "tool_choice": "auto"},
        {"response_format": {"type": "text"}},
        {"model": MODEL.lower()},
        {"user": "", "metadata": {}, "store": False, "parallel_tool_calls": True},
    ],
    ids=str,
)
def test_what_clients_mean_by_no_limit_and_by_nothing(server: Server, options: dict[str, Any]):
    """godot-copilot#6, cline#2411, sglang#17853: LM Studio, llama.cpp and vLLM take -1 for none."""
    assert answer(server, about(URL, **options))["message"]["content"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(asking(PICTURE), id="a picture alone"),
        pytest.param(asking({"type": "text", "text": ""}, PICTURE), id="an empty text"),
        pytest.param(asking(QUESTION, *[PICTURE] * 8), id="eight pictures"),
        pytest.param(asking(QUESTION, {"type": "image_url", "image_url": URL}), id="an URL as a string"),
        pytest.param(
            about(URL)
            | {
                "messages": [
                    {"role": "system", "content": [QUESTION]},
                    {"role": "system", "content": "Be kind."},
                ]
                + about(URL)["messages"]
            },
            id="two system messages",
        ),
        pytest.param(
            asking(QUESTION, PICTURE) | {"messages": [{"role": "user", "content": []}]}, id="nothing"
        ),
        pytest.param(asking({"type": "text", "text": "a\0b"}, PICTURE), id="NUL"),
        pytest.param(
            asking({"type": "text", "text": "<image><end_of_utterance>\nAssistant: <fake>"}, PICTURE),
            id="special tokens",
        ),
    ],
)
def test_conversations_of_any_shape(server: Server, body: dict[str, Any]):
    assert answer(server, body)["finish_reason"] in {"stop", "length"}


@pytest.mark.parametrize(
    ("status", "words", "body"),
    [
        (400, "data: URL", about("file:///etc/hostname")),
        (400, "does not fetch", about("http://example.com/a.png")),
        (400, "data: URL", about(BASE64)),
        (415, "SVG", about("data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg'/>")),
        (415, "PDF", about("data:application/pdf;base64," + base64.b64encode(b"%PDF-1.4\n").decode())),
        (400, "limit 32", asking(QUESTION, *[PICTURE] * 33)),
        (400, "'input_audio'", asking({"type": "input_audio", "input_audio": {}}, PICTURE)),
        (400, "'image'", asking(QUESTION, {"type": "image", "source": {"data": BASE64}})),
        (400, "max_tokens", about(URL, max_tokens=0)),
        (400, "temperature", about(URL, temperature=2.5)),
        (400, "2048 tokens", asking({"type": "text", "text": "word " * 40_000}, PICTURE)),
        (404, "gpt-4o", about(URL, model="gpt-4o")),
        (404, f"did you mean {MODEL}", about(URL, model=f"{MODEL}:latest")),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_refused_says_why(server: Server, status: int, words: str, body: dict[str, Any]):
    assert words in refusal(server, status, body)


@pytest.mark.parametrize("path", ["/chat/completions", f"{CHAT}/", "/v1//chat/completions", f"/v1{CHAT}"])
def test_a_path_that_is_nearly_right_is_answered(server: Server, path: str):
    response = server.http.post(path, json=about(URL))
    assert (response.status_code, response.json()["object"]) == (200, "chat.completion")


def test_bodies_that_are_json_and_bodies_that_are_not(server: Server):
    body = json.dumps(about(URL)).encode()
    as_json = {"content-type": "application/json"}
    marked = server.http.post(CHAT, content=b"\xef\xbb\xbf" + body, headers=as_json)
    assert marked.status_code == 200, "with a byte order mark"
    packed = as_json | {"content-encoding": "gzip"}
    assert server.http.post(CHAT, content=gzip.compress(body), headers=packed).status_code == 200
    for content, headers in (
        (gzip.compress(body), as_json),
        (body, {"content-type": "text/plain;charset=UTF-8"}),
        (body, {"content-type": "application/octet-stream"}),
    ):
        refused = server.http.post(CHAT, content=content, headers=headers)
        assert refused.status_code == 400
        assert "JSON" in refused.json()["error"]["message"]


WITH_HALF_AN_EMOJI = {
    "user text": asking({"type": "text", "text": f"a{HALF_AN_EMOJI}"}),
    "system text": {"messages": [{"role": "system", "content": HALF_AN_EMOJI}]},
    "model": asking(QUESTION, model=f"x{HALF_AN_EMOJI}"),
    "stop": asking(QUESTION, stop=[HALF_AN_EMOJI]),
    "data of a URL": about(f"data:image/png;base64,{HALF_AN_EMOJI}"),
    "scheme of a URL": about(f"{HALF_AN_EMOJI}://x"),
    "name in a URL": about(f"data:image/png;name={HALF_AN_EMOJI};base64,aGk="),
    "URL in percent form": about(f"data:image/png,{HALF_AN_EMOJI}"),
    "role": {"messages": [{"role": f"us{HALF_AN_EMOJI}", "content": "x"}]},
    "key": asking(QUESTION, metadata={HALF_AN_EMOJI: "x"}),
    "user": asking(QUESTION, user=HALF_AN_EMOJI),
    "schema": asking(
        QUESTION,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "string", "enum": [HALF_AN_EMOJI]}},
        },
    ),
    "streamed": asking({"type": "text", "text": f"a{HALF_AN_EMOJI}"}, stream=True),
    "input": {"model": MODEL, "input": f"a{HALF_AN_EMOJI}"},
    "instructions": {"model": MODEL, "input": "a", "instructions": HALF_AN_EMOJI},
}


@pytest.mark.parametrize("field", WITH_HALF_AN_EMOJI)
def test_half_an_emoji_in_any_field_is_a_clear_refusal(server: Server, field: str):
    """colibri#1589, Rapid-MLX#730: JavaScript cuts strings in the middle of an emoji."""
    body = WITH_HALF_AN_EMOJI[field]
    path = RESPONSES if "input" in body else CHAT
    response = server.http.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["code"] == "invalid_text"
    assert "half of a character" in error["message"]
    assert HALF_AN_EMOJI not in error["message"]


def test_a_client_that_leaves_disturbs_nobody(server: Server):
    for _ in range(12):
        with server.http.stream("POST", CHAT, json=about(URL, stream=True, max_tokens=200)) as response:
            assert response.status_code == 200
            next(response.iter_raw())
    server.wait_until(lambda: server.health()["requests_under_way"] <= 1)
    assert answer(server, about(URL))["message"]["content"]


def test_the_log_has_no_traceback(server: Server):
    assert "Traceback" not in Path(server.log).read_text()

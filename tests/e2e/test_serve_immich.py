"""Immich's machine-learning service against a real server, with the requests that Immich's server makes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from contract.served import served
from smallsight.catalog.text_model import find_text_model
from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.reading.text_reader import is_reading_available
from smallsight.settings import Settings

from .serving import Server, png, running

CLIENT = Path(__file__).with_name("immich_client.mjs")
OCR = {
    "ocr": {
        "detection": {"modelName": "PP-OCRv5_mobile", "options": {"minScore": 0.5, "maxResolution": 736}},
        "recognition": {"modelName": "PP-OCRv5_mobile", "options": {"minScore": 0.8}},
    }
}
FACES = {
    "facial-recognition": {
        "detection": {"modelName": "buffalo_l", "options": {"minScore": 0.7}},
        "recognition": {"modelName": "buffalo_l"},
    }
}
SEEN = {"clip": {"visual": {"modelName": "ViT-B-32__openai"}}}


def search(model: str) -> dict[str, Any]:
    return {"clip": {"textual": {"modelName": model, "options": {"language": "en"}}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a key, which this machine's addresses need not send."""
    home = tmp_path_factory.mktemp("serve") / "home"
    ApiKeys(home / "api-keys.json").add("one", frozenset({Scope.USE}))
    allowed = {"immich__enabled": "true", "immich__allowed_addresses": '["10.1.2.3", "127.0.0.0/8"]'}
    with running(home, "--model", "test", **allowed) as one:
        yield one


def predict(server: Server, entries: Any, **fields: Any) -> tuple[int, dict[str, Any]]:
    written = entries if isinstance(entries, str) else json.dumps(entries)
    image = fields.pop("image", None)
    files = None if image is None else {"image": ("blob", image, "application/octet-stream")}
    answer = server.http.post("/predict", data={"entries": written, **fields}, files=files)
    return answer.status_code, answer.json()


@pytest.fixture(scope="module")
def sign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = Image.new("RGB", (600, 200), "white")
    font = ImageFont.load_default(size=48)
    ImageDraw.Draw(image).text((40, 60), "HARBOUR 42", fill="black", font=font)
    path = tmp_path_factory.mktemp("pictures") / "sign.png"
    image.save(path)
    return path


def require_the_sign(body: dict[str, Any]) -> None:
    assert (body["imageWidth"], body["imageHeight"]) == (600, 200)
    found = body["ocr"]
    assert "".join(found["text"]).replace(" ", "") == "HARBOUR42"
    assert len(found["box"]) == 8 * len(found["text"])
    assert len(found["boxScore"]) == len(found["textScore"]) == len(found["text"])
    left, top, right, top_right, right_below, bottom, left_below, _ = found["box"]
    assert 0 < left < right < 1
    assert 0 < top < bottom < 1
    assert abs(left - 40 / 600) < 0.05
    assert abs(top - top_right) < 0.1
    assert (abs(right - right_below) < 0.1, abs(left - left_below) < 0.1) == (True, True)


def test_the_service_says_that_it_is_there(server: Server):
    answer = server.http.get("/ping")
    assert (answer.status_code, answer.text) == (200, "pong")


@pytest.mark.skipif(not is_reading_available(), reason="needs the ocr extra")
def test_the_text_of_a_picture_is_read(server: Server, sign: Path):
    status, body = predict(server, OCR, image=sign.read_bytes())
    assert status == 200, body
    require_the_sign(body)


@pytest.mark.skipif(not is_reading_available(), reason="needs the ocr extra")
def test_lines_below_the_score_that_is_asked_for_are_left_out(server: Server, sign: Path):
    strict = json.loads(json.dumps(OCR))
    strict["ocr"]["recognition"]["options"]["minScore"] = 1
    status, body = predict(server, strict, image=sign.read_bytes())
    assert (status, body["ocr"]) == (200, {"text": [], "box": [], "boxScore": [], "textScore": []})


def sent_by_node(server: Server, kind: str, payload: str, entries: dict[str, Any]) -> dict[str, Any]:
    """Send what Immich's server sends; its source was read again on 29 November 2026."""
    command = ["node", str(CLIENT), f"{server.url}/dropped", kind, payload, json.dumps(entries)]
    told: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    return told


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.skipif(not is_reading_available(), reason="needs the ocr extra")
def test_the_request_of_immichs_server_for_text_in_a_picture_is_understood(server: Server, sign: Path):
    told = sent_by_node(server, "image", str(sign), OCR)
    assert (told["ping"], told["status"]) == (True, 200)
    assert set(told["body"]) == {"ocr", "imageHeight", "imageWidth"}
    assert set(told["body"]["ocr"]) == {"text", "box", "boxScore", "textScore"}
    require_the_sign(told["body"])
    for refused in (FACES, SEEN):
        assert sent_by_node(server, "image", str(sign), refused)["status"] == 501


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.skipif(find_text_model(Settings()) is None, reason="needs the text model")
@pytest.mark.parametrize("options", [{"language": "de"}, {}])
def test_the_request_of_immichs_server_for_a_vector_of_a_text_is_understood(
    server: Server, options: dict[str, str]
):
    """A language that is not set is left out of the options, as JSON does with undefined."""
    wanted = {"clip": {"textual": {"modelName": "all-MiniLM-L6-v2", "options": options}}}
    told = sent_by_node(server, "text", "a red boat", wanted)
    assert (told["ping"], told["status"], set(told["body"])) == (True, 200, {"clip"})
    assert len(json.loads(told["body"]["clip"])) == 384


@pytest.mark.skipif(find_text_model(Settings()) is None, reason="needs the text model")
def test_a_text_has_a_vector_in_a_string(server: Server):
    status, body = predict(server, search("all-MiniLM-L6-v2"), text="a red boat")
    assert status == 200, body
    vector = json.loads(body["clip"])
    assert len(vector) == 384
    assert abs(sum(number * number for number in vector) - 1) < 1e-3
    assert set(body) == {"clip"}


@pytest.mark.skipif(find_text_model(Settings()) is None, reason="needs the text model")
def test_the_requests_of_opencloud_are_understood(server: Server):
    """Source: opencloud 72257a7, services/search/pkg/clip/client.go: no options, a file named "image"."""

    def embed(task: str, field: str, part: tuple[Any, ...]) -> Any:
        entries = json.dumps({"clip": {task: {"modelName": "all-MiniLM-L6-v2"}}})
        return server.http.post("/predict", files={"entries": (None, entries), field: part})

    answer = embed("textual", "text", (None, "a cat"))
    assert answer.status_code == 200
    assert len(json.loads(answer.json()["clip"])) == 384
    refused = embed("visual", "image", ("image", b"\x89PNG", "application/octet-stream"))
    assert refused.status_code == 501
    assert "does not have the model 'all-MiniLM-L6-v2'" in refused.text


@pytest.mark.parametrize("entries", [FACES, SEEN, OCR | FACES, search("ViT-B-32__openai")])
def test_what_this_server_cannot_do_is_refused_so_that_another_is_asked(server: Server, entries: Any):
    """An empty list of faces would make Immich forget the faces it knows."""
    status, body = predict(server, entries, image=png(), text="a boat")
    assert status == 501
    assert "hint:" in body["detail"]


@pytest.mark.parametrize(
    ("entries", "fields", "status", "words"),
    [
        ("{", {"image": png()}, 400, "JSON"),
        ("[]", {"image": png()}, 400, "entries"),
        ("{}", {"image": png()}, 400, "entries"),
        ({"ocr": {}}, {"image": png()}, 400, "entries"),
        ({"ocr": {"detection": {}}}, {"image": png()}, 400, "modelName"),
        ("[" * 5000, {"image": png()}, 400, "JSON"),
        (OCR, {}, 400, "image"),
        (OCR, {"text": "x"}, 400, "image"),
        (OCR, {"image": b"no picture"}, 415, ""),
        (search("all-MiniLM-L6-v2"), {"image": png()}, 400, "text"),
        (
            {"ocr": {"recognition": {"modelName": "x", "options": {"minScore": "high"}}}},
            {"image": png()},
            *(400, "minScore"),
        ),
    ],
)
def test_a_bad_request_is_a_sentence(
    server: Server, entries: Any, fields: dict[str, Any], status: int, words: str
):
    found, body = predict(server, entries, **fields)
    assert found == status, body
    assert words in body["detail"]


def test_a_body_that_is_no_form_is_refused(server: Server):
    for content, kind in ((b"{}", "application/json"), (b"x", "multipart/form-data"), (b"", "text/plain")):
        answer = server.http.post("/predict", content=content, headers={"content-type": kind})
        assert answer.status_code == 400, answer.text
        assert set(answer.json()) == {"detail"}


def test_allowed_addresses_need_a_key_everywhere_else(server: Server):
    assert server.http.get("/ping").status_code == 200
    assert server.http.get("/v1/models").status_code == 401
    assert server.http.post("/v1/messages", json={}).status_code == 401


def test_other_addresses_need_a_key_before_their_body_is_read(tmp_path: Path):
    key = ApiKeys(tmp_path / "api-keys.json").add("one", frozenset({Scope.USE}))
    immich = {"enabled": True, "allowed_addresses": ("10.1.2.3",)}
    with served(tmp_path, immich=immich) as (client, _):
        for headers, statuses in (({}, (401, 401)), ({"authorization": f"Bearer {key}"}, (200, 400))):
            answers = client.get("/ping", headers=headers), client.post("/predict", headers=headers)
            assert tuple(answer.status_code for answer in answers) == statuses
            assert statuses == (200, 400) or set(answers[1].json()) == {"detail"}


def test_without_the_setting_there_is_no_such_route(tmp_path: Path):
    with served(tmp_path) as (client, _):
        assert (client.get("/ping").status_code, client.post("/predict").status_code) == (404, 404)

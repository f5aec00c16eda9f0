"""A model that does not converse, and pictures of unusual shape, behind a real server."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import smallsight
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from tiny_florence2 import SHAPES as FLORENCE2
from tiny_florence2 import write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import SHAPES, make_checkpoint

from .serving import Server, about, data_url, png, running


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {
        "florence": (write_tiny_florence2(root / "florence", FLORENCE2[0]), "florence2"),
        "moondream": (write_tiny_moondream2(root / "moondream", MOONDREAM2[0]), "moondream2"),
        "tiny": (make_checkpoint(root / "tiny", SHAPES[0]), "smolvlm"),
    }


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, folders: dict[str, tuple[Path, str]]
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("other") / "home"
    for name, (folder, family) in folders.items():
        RegisteredModels(home / "models.json").add(RegisteredModel(name, folder, family))
    with running(home, threads="1", inference__dtype="fp32", server__result_cache_bytes="0") as one:
        yield one


def ask(server: Server, **body: Any) -> str:
    response = server.ask(**{"model": "florence", "max_tokens": 12, **body})
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


@pytest.fixture(scope="module")
def expected(folders: dict[str, tuple[Path, str]]) -> Iterator[Callable[[bytes, str], str]]:
    """What the Florence-2 in this process says to a picture and a question."""
    with smallsight.load(folders["florence"][0], precision="fp32") as model:
        yield lambda picture, question: model.ask(picture, question, max_tokens=12).text


def test_free_text_and_tasks(server: Server, expected: Callable[[bytes, str], str]):
    for question in ("Please describe this image in a few words.", "<OD>", "<OCR>", "what is it?"):
        told = ask(server, messages=about(data_url(png(1)), text=question))
        assert told == expected(png(1), question)


def test_the_newest_question_goes_for_the_newest_picture(
    server: Server, expected: Callable[[bytes, str], str]
):
    messages = [
        {"role": "system", "content": "Be brief."},
        *about(data_url(png(1)), text="<OD>"),
        {"role": "assistant", "content": "a cat"},
        *about(data_url(png(2)), text="<CAPTION>"),
        {"role": "assistant", "content": "a dog"},
        {"role": "user", "content": "<OCR>"},
    ]
    assert ask(server, messages=messages) == expected(png(2), "<OCR>")


def test_moondream2_hears_the_newest_question_and_takes_options(
    server: Server, folders: dict[str, tuple[Path, str]]
):
    messages = [
        *about(data_url(png(1)), text="Is it red?"),
        {"role": "assistant", "content": "no"},
        *about(data_url(png(2)), text="Is it blue?"),
    ]
    with smallsight.load(folders["moondream"][0], precision="fp32") as model:
        asked = model.ask(png(2), "Is it blue?", max_tokens=12)
    assert ask(server, model="moondream", messages=messages) == asked.text
    schema = {"name": "m", "schema": {"enum": ["yes", "no"]}}
    told = ask(
        server,
        model="moondream",
        messages=messages,
        temperature=1.0,
        seed=1,
        response_format={"type": "json_schema", "json_schema": schema},
    )
    assert told in ('"yes"', '"no"')


def test_how_to_draw_tokens_does_not_concern_it(server: Server):
    messages = about(data_url(png(3)))
    plain = ask(server, messages=messages)
    assert ask(server, messages=messages, temperature=1.2, top_p=0.3, seed=5, presence_penalty=1) == plain


@pytest.mark.parametrize(
    "body",
    [
        {"stop": ["x"]},
        {"logprobs": True},
        {"response_format": {"type": "json_object"}},
        {"messages": [{"role": "user", "content": "no picture"}]},
        {"messages": about(data_url(png(1)), data_url(png(2)))},
    ],
    ids=str,
)
def test_what_it_cannot_do_is_a_sentence(server: Server, body: dict[str, Any]):
    response = server.ask(**{"model": "florence", "messages": about(data_url(png(1))), **body})
    assert response.status_code == 400
    assert "Florence-2" in response.json()["error"]["message"]


def test_a_stream_is_the_whole_text(server: Server):
    messages = about(data_url(png(4)))
    whole = ask(server, messages=messages)
    body = {"model": "florence", "max_tokens": 12, "messages": messages, "stream": True}
    lines = server.http.post("/v1/chat/completions", json=body).text.splitlines()
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    pieces = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]]
    assert "".join(pieces).strip() == whole


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (3, 3), (64, 64)])
@pytest.mark.parametrize("model", ["tiny", "florence", "moondream"])
def test_pictures_of_unusual_shape(server: Server, model: str, size: tuple[int, int]):
    response = server.ask(model=model, max_tokens=5, messages=about(data_url(png(5, *size))))
    assert response.status_code == 200, response.text


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "I;16", "1"])
def test_pictures_of_every_kind_of_pixel(server: Server, mode: str):
    buffer = io.BytesIO()
    Image.new(mode, (30, 20)).save(buffer, "TIFF" if mode == "CMYK" else "PNG")
    response = server.ask(model="tiny", max_tokens=5, messages=about(data_url(buffer.getvalue())))
    assert response.status_code == 200, response.text


def test_pictures_of_one_request_are_bounded_together(tmp_path: Path):
    with running(tmp_path / "home", "--model", "test", limits__max_image_pixels="10000") as server:
        pictures = [data_url(png(seed, 60, 50)) for seed in range(4)]
        assert server.ask(messages=about(*pictures[:3])).status_code == 200
        assert server.ask(messages=about(*[pictures[0]] * 9)).status_code == 200  # the same one counts once
        refused = server.ask(messages=about(*pictures))
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "picture_too_large")

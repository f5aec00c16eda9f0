"""Pictures and texts embedded by a real server: OpenAI's route, and Immich's with its names of models.

The bodies are those of vLLM's and Infinity's examples, of Jina's and OpenAI's Python clients, of Immich's
server, and of OpenCloud's search service (72257a7, services/search/pkg/clip/client.go).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
from PIL import Image

from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.engine.embedding import load_picture_embedder
from tiny_dual_encoder import draw_odd_pictures, write_tiny_clip, write_tiny_siglip

from .serving import Server, running

TEXTS = ["two cats on a sofa", "an owl"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("models")
    return {
        "siglip": write_tiny_siglip(home / "tiny-siglip"),
        "clip": write_tiny_clip(home / "tiny-clip"),
    }


@pytest.fixture(scope="module")
def server(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A SigLIP from a folder is the usual model; under the catalogue's name of CLIP there is another one."""
    home = tmp_path_factory.mktemp("serve") / "home"
    home.mkdir()
    RegisteredModels(home / "models.json").add(RegisteredModel("CLIP-ViT-B-32", folders["clip"], "clip"))
    with running(
        home,
        *("--model", "test"),
        picture_embedding__model=str(folders["siglip"]),
        picture_embedding__precision="fp32",
        threads="1",
        immich__enabled="true",
        limits__max_file_bytes="200000",
    ) as one:
        yield one


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for number, picture in enumerate(draw_odd_pictures(3, seed=5)):
        paths.append(folder / f"{number}.png")
        picture.convert("RGB").resize((40, 30 + number)).save(paths[-1])
    return paths


class Expected:
    """What a model computes in this process."""

    def __init__(self, folder: Path, files: list[Path]) -> None:
        embedder = load_picture_embedder(folder, "fp32", threads=1)
        self.pictures = embedder.embed_pictures([Image.open(path) for path in files])
        self.texts = embedder.embed_texts(TEXTS)
        embedder.close()


@pytest.fixture(scope="module")
def siglip(folders: dict[str, Path], files: list[Path]) -> Expected:
    return Expected(folders["siglip"], files)


@pytest.fixture(scope="module")
def clip(folders: dict[str, Path], files: list[Path]) -> Expected:
    return Expected(folders["clip"], files)


def data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def embedded(server: Server, **body: Any) -> np.ndarray:
    answer = server.http.post("/v1/embeddings", json=body)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [one["index"] for one in data] == list(range(len(data)))
    return np.array([one["embedding"] for one in data], np.float32)


def same(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_texts_and_pictures_come_back_in_their_order(server: Server, files: list[Path], siglip: Expected):
    """The form of Jina: objects with text or image, a URL or base64."""
    mixed = [
        {"image": data_url(files[0])},
        {"text": TEXTS[0]},
        {"image": base64.b64encode(files[1].read_bytes()).decode()},
        TEXTS[1],
        data_url(files[2]),
    ]
    found = embedded(server, model="tiny-siglip", input=mixed)
    pictures, texts = siglip.pictures, siglip.texts
    same(found, np.stack([pictures[0], texts[0], pictures[1], texts[1], pictures[2]]))


def test_the_messages_of_vllm_are_one_picture_or_one_text(
    server: Server, files: list[Path], siglip: Expected
):
    picture = {"type": "image_url", "image_url": {"url": data_url(files[0])}}
    text = {"type": "text", "text": TEXTS[0]}
    for part, expected in ((picture, siglip.pictures[0]), (text, siglip.texts[0])):
        messages = [{"role": "user", "content": [part]}]
        same(embedded(server, model="tiny-siglip", messages=messages)[0], expected)
    both = [{"role": "user", "content": [picture, text]}]
    refused = server.http.post("/v1/embeddings", json={"model": "tiny-siglip", "messages": both})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages")
    assert "1 pictures and 1 texts" in refused.text


def test_infinitys_modality_makes_strings_pictures(server: Server, files: list[Path], siglip: Expected):
    found = embedded(server, model="tiny-siglip", modality="image", input=[data_url(one) for one in files])
    same(found, siglip.pictures)


def test_openais_client_gets_base64_usage_and_dimensions(server: Server, files: list[Path], siglip: Expected):
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    answer = client.embeddings.create(model="tiny-siglip", input=TEXTS)  # base64, as the client asks for it
    same(np.array([one.embedding for one in answer.data]), siglip.texts)
    assert (answer.model, answer.usage.prompt_tokens) == ("tiny-siglip", 2 * 16)
    picture = client.embeddings.create(model="tiny-siglip", input=[data_url(files[0])], dimensions=32)
    assert picture.usage.total_tokens == 16  # patches
    assert client.models.retrieve("tiny-siglip").id == "tiny-siglip"
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="tiny-siglip", input=TEXTS, dimensions=8)
    assert refused.value.param == "dimensions"


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        ({"model": "tiny-siglip", "input": []}, 400, "input", "empty"),
        ({"model": "tiny-siglip"}, 400, "input", "missing"),
        ({"model": "tiny-siglip", "input": [{"image": 3}]}, 400, "input", "neither a text nor a picture"),
        ({"model": "tiny-siglip", "input": [[1, 2]]}, 400, "input", "token ids"),
        ({"model": "tiny-siglip", "input": [{"image": "äö"}]}, 400, "input", "neither a URL nor base64"),
        ({"model": "tiny-siglip", "input": "a", "messages": []}, 400, "messages", "not both"),
        ({"model": "tiny-siglip", "messages": "a"}, 400, "messages", "list"),
        ({"model": "tiny-siglip", "input": [{"image": "file:///etc/passwd"}]}, 400, None, ""),
        ({"model": "tiny-siglip", "input": ["data:image/png;base64,AAAA"]}, 415, None, ""),
        ({"model": "/etc", "input": "a"}, 404, None, "tiny-siglip"),
        ({"input": [{"image": "data:image/png;base64,AAAA"}]}, 400, "input", "only texts"),
        ({"messages": [{"role": "user", "content": "a"}]}, 400, "messages", "picture embedding model"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_request_is_a_sentence(
    server: Server, body: dict[str, Any], status: int, param: str | None, words: str
):
    answer = server.http.post("/v1/embeddings", json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert words in error["message"]
    assert param is None or error["param"] == param


def predict(server: Server, entries: dict[str, Any], **sent: Any) -> tuple[int, dict[str, Any]]:
    """Send a form as Immich's server does."""
    files = {"image": ("blob", sent.pop("image"), "application/octet-stream")} if "image" in sent else None
    answer = server.http.post("/predict", data={"entries": json.dumps(entries), **sent}, files=files)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("name", ["ViT-B-32__openai", "immich-app/ViT-B-32__openai", "CLIP-ViT-B-32"])
def test_immichs_search_gets_vectors_of_the_model_that_it_names(
    server: Server, files: list[Path], clip: Expected, name: str
):
    status, body = predict(server, {"clip": {"visual": {"modelName": name}}}, image=files[0].read_bytes())
    assert (status, set(body)) == (200, {"clip", "imageHeight", "imageWidth"})
    assert (body["imageWidth"], body["imageHeight"]) == (40, 30)
    same(np.array(json.loads(body["clip"])), clip.pictures[0])
    wanted = {"clip": {"textual": {"modelName": name, "options": {"language": "en"}}}}
    status, body = predict(server, wanted, text=TEXTS[0])
    assert (status, set(body)) == (200, {"clip"})
    same(np.array(json.loads(body["clip"])), clip.texts[0])


def test_openclouds_requests_get_vectors(server: Server, files: list[Path], siglip: Expected):
    def sent(task: str, field: str, part: tuple[Any, ...]) -> np.ndarray:
        entries = json.dumps({"clip": {task: {"modelName": "tiny-siglip"}}})
        answer = server.http.post("/predict", files={"entries": (None, entries), field: part})
        assert answer.status_code == 200, answer.text
        return np.array(json.loads(answer.json()["clip"]))

    same(sent("textual", "text", (None, TEXTS[1])), siglip.texts[1])
    picture = ("image", files[1].read_bytes(), "application/octet-stream")
    same(sent("visual", "image", picture), siglip.pictures[1])


@pytest.mark.parametrize(
    ("models", "sent", "status", "words"),
    [
        (
            {"visual": {"modelName": "ViT-B-16-SigLIP__webli"}},
            {"image": b"x"},
            501,
            "does not have the model",
        ),
        ({"visual": {"modelName": "/etc"}}, {"image": b"x"}, 501, "does not have the model"),
        ({"visual": {"modelName": "ViT-B-32__openai"}}, {"text": "x"}, 400, "image"),
        ({"visual": {"modelName": "ViT-B-32__openai"}}, {"image": b"no picture"}, 415, ""),
        ({"visual": {"modelName": "ViT-B-32__openai"}}, {"image": b"x" * 200_001}, 413, "limit 200000"),
        ({"textual": {"modelName": "ViT-B-32__openai"}}, {"image": b"x"}, 400, "text"),
        (
            {"visual": {"modelName": "ViT-B-32__openai"}, "textual": {"modelName": "ViT-B-32__openai"}},
            *({"text": "x"}, 400, "two requests"),
        ),
    ],
)
def test_what_immich_cannot_get_is_a_sentence(
    server: Server, models: dict[str, Any], sent: dict[str, Any], status: int, words: str
):
    found, body = predict(server, {"clip": models}, **sent)
    assert found == status, body
    assert words in body["detail"]

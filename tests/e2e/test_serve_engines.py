"""One server with every model on two engines: they say the same about the same requests, in fp32.

Each request is sent to a model on the OpenVINO engine and to the same checkpoint on the torch engine.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import smallsight
from clips import animation
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.engine.torch.packages import has_torch
from tiny_florence2 import SHAPES as FLORENCE2
from tiny_florence2 import write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import VIDEO_SHAPES, make_checkpoint

from .serving import Server, about, data_url, png, running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_torch(), reason="needs torch and transformers"),
]

ENGINES = ("openvino", "torch")
MAX_TOKENS = 16
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"enum": ["meme", "photo"]}},
    "required": ["kind"],
    "additionalProperties": False,
}
MP4 = "data:video/mp4;base64,"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {
        "smolvlm": (make_checkpoint(root / "smolvlm", VIDEO_SHAPES[0]), "smolvlm"),
        "florence": (write_tiny_florence2(root / "florence", FLORENCE2[1]), "florence2"),
        "moondream": (write_tiny_moondream2(root / "moondream", MOONDREAM2[0]), "moondream2"),
    }


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, folders: dict[str, tuple[Path, str]]
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("engines") / "home"
    home.mkdir()
    lines = []
    for name, (folder, family) in folders.items():
        for engine in ENGINES:
            RegisteredModels(home / "models.json").add(RegisteredModel(f"{name}-{engine}", folder, family))
            lines.append(f'[models."{name}-{engine}"]\nengine = "{engine}"\ndevice = "cpu"\n')
    (home / "smallsight.toml").write_text("\n".join(lines))
    bounds = {"memory__max_loaded_models": "6", "server__result_cache_bytes": "0"}
    with running(home, threads="1", inference__dtype="fp32", **bounds) as one:
        yield one


def on_both(server: Server, name: str, **body: Any) -> dict[str, Any]:
    """Return the torch engine's answer, after comparing it with the OpenVINO engine's."""
    told = {}
    for engine in ENGINES:
        response = server.ask(model=f"{name}-{engine}", **{"max_tokens": MAX_TOKENS, **body})
        assert response.status_code == 200, response.text
        told[engine] = response.json()
    expected, got = (told[engine] for engine in ENGINES)
    for ours, theirs in zip(got["choices"], expected["choices"], strict=True):
        assert ours["message"] == theirs["message"]
        assert ours["finish_reason"] == theirs["finish_reason"]
    for one in (expected, got):
        one["usage"].get("prompt_tokens_details", {}).pop("cached_tokens", None)
    assert got["usage"] == expected["usage"]
    return got


def text_of(answer: dict[str, Any]) -> str:
    return answer["choices"][0]["message"]["content"]


VIDEO = {"type": "video_url", "video_url": {"url": MP4 + base64.b64encode(animation(3)).decode()}}
QUESTIONS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "words": ("smolvlm", [{"role": "user", "content": "hello"}]),
    "a picture": ("smolvlm", about(data_url(png(1, 150, 90)))),
    "several pictures": ("smolvlm", about(*(data_url(png(seed, 60, 80)) for seed in range(3)))),
    "a conversation": (
        "smolvlm",
        [
            {"role": "system", "content": "You see."},
            *about(data_url(png(6)), text="And?"),
            {"role": "assistant", "content": "Yes."},
            *about(data_url(png(7)), text="Now?"),
        ],
    ),
    "a video": ("smolvlm", [{"role": "user", "content": [VIDEO, {"type": "text", "text": "What happens?"}]}]),
    "a caption": ("florence", about(data_url(png(2, 97, 60)), text="<DETAILED_CAPTION>")),
    "things": ("florence", about(data_url(png(3, 64, 90)), text="<OD>")),
    "text": ("florence", about(data_url(png(2, 97, 60)), text="<OCR>")),
    "text and where": ("florence", about(data_url(png(8, 64, 90)), text="<OCR_WITH_REGION>")),
    "a region": (
        "florence",
        about(data_url(png(9, 64, 90)), text="<REGION_TO_DESCRIPTION><loc_9><loc_10><loc_500><loc_900>"),
    ),
    "a phrase": ("florence", about(data_url(png(4, 64, 90)), text="<CAPTION_TO_PHRASE_GROUNDING>a red car")),
    "a question": ("moondream", about(data_url(png(5, 100, 60)), text="What is this?")),
}


@pytest.mark.parametrize("asked", QUESTIONS)
def test_both_engines_answer_alike(server: Server, asked: str):
    name, messages = QUESTIONS[asked]
    assert on_both(server, name, messages=messages)["usage"]["completion_tokens"] > 0


def test_both_stream_hold_to_a_schema_and_repeat_a_seed(server: Server):
    _, messages = QUESTIONS["a picture"]
    whole = text_of(on_both(server, "smolvlm", messages=messages))
    body = {"model": "smolvlm-torch", "max_tokens": MAX_TOKENS, "stream": True, "messages": messages}
    with server.http.stream("POST", "/v1/chat/completions", json=body) as response:
        events = [line[6:] for line in response.iter_lines() if line.startswith("data: ")]
    chunks = [json.loads(one) for one in events[:-1]]
    pieces = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]]
    assert len([piece for piece in pieces if piece]) > 3
    assert "".join(pieces).strip() == whole
    form = {"type": "json_schema", "json_schema": {"name": "kind", "schema": SCHEMA}}
    held = json.loads(
        text_of(on_both(server, "smolvlm", messages=messages, response_format=form, max_tokens=60))
    )
    assert held["kind"] in ("meme", "photo")
    on_both(server, "smolvlm", messages=messages, temperature=1.2, seed=7)


def test_both_call_a_tool_stop_at_a_string_and_give_log_probabilities(server: Server):
    _, messages = QUESTIONS["a picture"]
    tool = {"type": "function", "function": {"name": "sort", "parameters": SCHEMA}}
    chosen = {"type": "function", "function": {"name": "sort"}}
    body = {"messages": messages, "tools": [tool], "tool_choice": chosen, "max_tokens": 60}
    called = {}
    for engine in ENGINES:  # each call has another identifier
        answer = server.ask(model=f"smolvlm-{engine}", **body).json()["choices"][0]["message"]
        called[engine] = [one["function"] for one in answer["tool_calls"]]
    assert called["torch"] == called["openvino"]
    assert json.loads(called["torch"][0]["arguments"])["kind"] in ("meme", "photo")
    whole = text_of(on_both(server, "smolvlm", messages=messages))
    stopped = on_both(server, "smolvlm", messages=messages, stop=whole[4:6])
    assert len(text_of(stopped)) < len(whole)
    asked = {"messages": messages, "max_tokens": MAX_TOKENS, "logprobs": True, "top_logprobs": 3}
    found = {}
    for engine in ENGINES:
        answer = server.ask(model=f"smolvlm-{engine}", **asked).json()["choices"][0]
        found[engine] = answer["logprobs"]["content"]
    for ours, theirs in zip(found["torch"], found["openvino"], strict=True):
        assert ours["bytes"] == theirs["bytes"]
        assert [one["bytes"] for one in ours["top_logprobs"]] == [
            one["bytes"] for one in theirs["top_logprobs"]
        ]
        assert ours["logprob"] == pytest.approx(theirs["logprob"], abs=1e-3)


def test_both_answer_in_every_protocol(server: Server):
    url = data_url(png(1, 150, 90))
    data = url.partition(",")[2]
    source = {"type": "base64", "media_type": "image/png", "data": data}
    text = "What is this?"
    parts = [{"type": "image", "source": source}, {"type": "text", "text": text}]
    inputs = [{"type": "input_image", "image_url": url}, {"type": "input_text", "text": text}]
    bodies: dict[str, dict[str, Any]] = {
        "/v1/messages": {"messages": [{"role": "user", "content": parts}], "max_tokens": MAX_TOKENS},
        "/v1/responses": {"input": [{"role": "user", "content": inputs}], "max_output_tokens": MAX_TOKENS},
        "/api/generate": {
            "prompt": text,
            "images": [data],
            "stream": False,
            "options": {"num_predict": MAX_TOKENS},
        },
    }
    whole = text_of(on_both(server, "smolvlm", messages=about(url, text=text)))
    for path, body in bodies.items():
        for engine in ENGINES:
            response = server.http.post(path, json={"model": f"smolvlm-{engine}", **body})
            assert response.status_code == 200, response.text
            assert json.dumps(whole)[1:-1] in response.text, path


@pytest.mark.parametrize("name", ["smolvlm", "florence", "moondream"])
def test_requests_at_once_are_answered_as_alone(server: Server, name: str):
    questions = [about(data_url(png(10 + seed, 60 + 9 * seed, 70))) for seed in range(6)]

    def ask(messages: list[dict[str, Any]]) -> str:
        response = server.ask(model=f"{name}-torch", max_tokens=MAX_TOKENS, messages=messages)
        assert response.status_code == 200, response.text
        return text_of(response.json())

    alone = [ask(one) for one in questions]
    with ThreadPoolExecutor(len(questions)) as pool:
        assert list(pool.map(ask, questions)) == alone
    assert len(set(alone)) > 1


def test_describing_many_is_the_same_in_batches_of_any_size(folders: dict[str, tuple[Path, str]]):
    """In Python, with every family: both engines, one by one and together."""
    pictures = [png(20 + seed, 70, 50 + 7 * seed) for seed in range(4)]
    for folder, _ in folders.values():
        said = {}
        for engine in ENGINES:
            with smallsight.load(folder, precision="fp32", engine=engine, device="cpu", threads=1) as model:
                for size in (1, 4):
                    many = model.describe_many(pictures, batch_size=size, max_tokens=MAX_TOKENS)
                    said[engine, size] = [one.text for one in many]
        assert len(set(map(tuple, said.values()))) == 1

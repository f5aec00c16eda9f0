"""Videos behind a real server: names of the part, families with and without videos, limits, absurdities."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

import smallsight
from clips import animation, clip
from clocks import wait_until
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from tiny_florence2 import SHAPES as FLORENCE2
from tiny_florence2 import write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import SHAPES, VIDEO_SHAPES, make_checkpoint

from .serving import Server, about, data_url, png, running

MIB = 1024**2
QUESTION = "What happens?"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {
        "video": (make_checkpoint(root / "video", VIDEO_SHAPES[0]), "smolvlm"),
        "pictures": (make_checkpoint(root / "pictures", SHAPES[0]), "smolvlm"),
        "florence": (write_tiny_florence2(root / "florence", FLORENCE2[0]), "florence2"),
        "moondream": (write_tiny_moondream2(root / "moondream", MOONDREAM2[0]), "moondream2"),
    }


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, folders: dict[str, tuple[Path, str]]
) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("videos") / "home"
    for name, (folder, family) in folders.items():
        RegisteredModels(home / "models.json").add(RegisteredModel(name, folder, family))
    with running(home, threads="1", inference__dtype="fp32") as one:
        yield one


def url_of(data: bytes, kind: str = "video/mp4") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def asking(*parts: dict[str, Any] | str) -> list[dict[str, Any]]:
    """Return a message with videos, given as URLs or as whole parts."""
    shown = [
        {"type": "video_url", "video_url": {"url": part}} if isinstance(part, str) else part for part in parts
    ]
    return [{"role": "user", "content": [*shown, {"type": "text", "text": QUESTION}]}]


def ask(server: Server, *parts: dict[str, Any] | str, model: str = "video") -> dict[str, Any]:
    response = server.ask(model=model, max_tokens=8, messages=asking(*parts))
    assert response.status_code == 200, response.text
    return response.json()


def text_of(answer: dict[str, Any]) -> str:
    return answer["choices"][0]["message"]["content"]


@pytest.fixture(scope="module")
def expected(folders: dict[str, tuple[Path, str]]) -> smallsight.model.answer.Answer:
    with smallsight.load(folders["video"][0], precision="fp32") as model:
        return model.ask(clip(30, fps=10), QUESTION, max_tokens=8)


def test_a_video_by_url_or_as_bare_data_is_the_same_question(server: Server, expected: Any):
    data = clip(30, fps=10)
    parts: list[dict[str, Any]] = [
        {"type": "video_url", "video_url": {"url": url_of(data)}, "fps": 1000, "max_frames": 10**9},
        {"type": "input_video", "input_video": {"data": base64.b64encode(data).decode(), "format": "mp4"}},
    ]
    for part in parts:
        answer = ask(server, part)
        assert text_of(answer) == expected.text
        assert answer["usage"]["prompt_tokens"] == expected.usage.prompt_tokens
        assert answer["usage"]["prompt_tokens_details"]["image_tokens"] == 3 * 4


def test_the_official_client_asks_about_a_video(server: Server, expected: Any):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        messages: Any = asking(url_of(clip(30, fps=10)))
        whole = client.chat.completions.create(model="video", messages=messages, max_tokens=8)
        assert whole.choices[0].message.content == expected.text
        stream = client.chat.completions.create(model="video", messages=messages, max_tokens=8, stream=True)
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        assert "".join(pieces).strip() == expected.text
        parts: Any = [
            {"type": "input_video", "video_url": url_of(clip(30, fps=10))},
            {"type": "input_text", "text": QUESTION},
        ]
        response = client.responses.create(
            model="video", input=[{"role": "user", "content": parts}], max_output_tokens=16
        )
        assert response.output_text.startswith(expected.text)
        assert response.usage is not None
        assert response.usage.input_tokens == expected.usage.prompt_tokens


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: clip(20, fps=10, container="webm", codec="libvpx-vp9"), "video/webm"),
        (lambda: clip(20, fps=10, container="matroska", codec="libx264"), "video/x-matroska"),
        (lambda: clip(20, fps=10, container="mov", codec="libx264"), "video/quicktime"),
        (lambda: clip(20, fps=10), "application/octet-stream"),
        (lambda: animation(4, frame_ms=500), "image/gif"),
        (lambda: animation(4, frame_ms=500, picture_format="WEBP"), "image/webp"),
        (lambda: animation(4, frame_ms=500, picture_format="PNG"), "image/apng"),
        (lambda: animation(4, frame_ms=500, picture_format="AVIF"), "image/avif"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_kinds_of_videos(server: Server, make: Callable[[], bytes], kind: str):
    answer = ask(server, url_of(make(), kind))
    assert answer["usage"]["prompt_tokens_details"]["image_tokens"] == 2 * 4  # two seconds, two frames


@pytest.mark.parametrize("picture_format", ["GIF", "WEBP", "PNG"])
def test_an_animation_that_is_sent_as_a_picture_is_one(
    server: Server, folders: dict[str, tuple[Path, str]], picture_format: str
):
    data = animation(4, picture_format=picture_format)
    answer = server.ask(model="video", max_tokens=8, messages=about(url_of(data, "image/gif"), text=QUESTION))
    first = animation(1, picture_format=picture_format)
    same = server.ask(model="video", max_tokens=8, messages=about(url_of(first, "image/gif"), text=QUESTION))
    assert text_of(answer.json()) == text_of(same.json())
    assert answer.json()["usage"]["prompt_tokens"] == same.json()["usage"]["prompt_tokens"]


def test_a_video_among_pictures_and_turns(server: Server):
    messages = [
        *about(data_url(png(1)), text="First?"),
        {"role": "assistant", "content": "Yes."},
        *asking(url_of(clip(30, fps=10)), url_of(clip(10, fps=10, seed=1))),
    ]
    response = server.ask(model="video", max_tokens=5, messages=messages)
    assert response.status_code == 200, response.text
    with_picture = server.ask(model="video", max_tokens=5, messages=messages[:1]).json()["usage"]
    image_tokens = response.json()["usage"]["prompt_tokens_details"]["image_tokens"]
    assert image_tokens == with_picture["prompt_tokens_details"]["image_tokens"] + 4 * 4


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize(("model", "num_frames"), [("pictures", 4), ("florence", 1), ("moondream", 1)])
def test_families_without_videos_are_shown_some_frames(
    server: Server, folders: dict[str, tuple[Path, str]], model: str, num_frames: int
):
    data = clip(40, fps=10)
    with smallsight.load(folders[model][0], precision="fp32") as loaded:
        seen = loaded.frames_of(data)
        assert len(seen.video.frames) == num_frames
        told = loaded.ask(seen, QUESTION, max_tokens=8).text
        images = [frame.pixels_HWC for frame in seen.video.frames]
        assert loaded.ask(images, QUESTION, max_tokens=8).text == told
    assert text_of(ask(server, url_of(data), model=model)) == told


def test_the_answer_is_streamed(server: Server, expected: Any):
    body = {"model": "video", "max_tokens": 8, "stream": True, "messages": asking(url_of(clip(30, fps=10)))}
    lines = server.http.post("/v1/chat/completions", json=body).text.splitlines()
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    pieces = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]]
    assert "".join(pieces).strip() == expected.text


def decoder_of(server: Server, *, has_begun: bool) -> psutil.Process:
    """Wait for the process that decodes a video, locked down already if it is to have begun, and halt it."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        for child in psutil.Process(server.process.pid).children():
            with suppress(psutil.Error, OSError):  # it has just ended
                if "smallsight.media.video_child" in child.cmdline():
                    status = Path(f"/proc/{child.pid}/status").read_text()
                    if not has_begun or "Seccomp:\t2" in status:
                        child.suspend()
                        found.append(child)
        return bool(found)

    wait_until(is_there, "nothing decodes")
    return found[0]


@pytest.mark.parametrize("has_begun", [False, True], ids=["starting", "decoding"])
def test_decoding_ends_when_its_client_leaves(server: Server, has_begun: bool):
    """The decoder is halted, so it can only end by being ended."""
    body = {"model": "video", "messages": asking(url_of(clip(600, 320, 240, fps=10)))}
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
    decoder = decoder_of(server, has_begun=has_begun)
    assert server.health()["requests_under_way"] == 1
    connection.close()
    server.wait_until(lambda: not psutil.pid_exists(decoder.pid))
    server.wait_until(lambda: server.health()["requests_under_way"] == 0)
    assert text_of(ask(server, url_of(clip(10, fps=10))))


def long_gif(num_frames: int) -> bytes:
    """Return an animation of many frames without encoding each of them: the second one is repeated."""
    data = animation(2, 1, 1, 20)
    second = data.rindex(b"\x21\xf9\x04")  # a frame begins with its graphic control extension
    assert data.endswith(b";")
    return data[:second] + data[second:-1] * (num_frames - 1) + b";"


ABSURD = {
    "one frame": (lambda: clip(1, 64, 48, 30), {200}),
    "one pixel": (lambda: animation(2, 1, 1), {200}),
    "two pixels": (lambda: clip(5, 2, 2, 5), {200}),
    "a thousand frames a second": (lambda: clip(2000, 16, 16, 1000), {200}),
    "one frame in ten seconds": (lambda: clip(4, 64, 48, Fraction(1, 10)), {200}),
    "an hour": (lambda: clip(900, 16, 16, Fraction(1, 4)), {200}),
    "three hours": (lambda: clip(275, 16, 16, Fraction(1, 40)), {413}),
    "too large": (lambda: clip(1, 4112, 4096, 1), {413}),
    "very wide": (lambda: clip(2, 4096, 2, 1), {200}),
    "many frames in a picture": (lambda: long_gif(10_001), {413}),
    "cut": (lambda: clip(30)[:500], {422}),
    "no video": (lambda: b"hello there", {415}),
    "a picture": (lambda: png(1), {415}),
}


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("name", ABSURD)
def test_absurd_videos_are_answered_or_refused(server: Server, name: str):
    make, allowed = ABSURD[name]
    data = make()
    before = server.resident_bytes()
    response = server.ask(model="video", max_tokens=3, messages=asking(url_of(data)))
    assert response.status_code in allowed, response.text
    if response.status_code != 200:
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
    assert server.resident_bytes() - before < 64 * MIB


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        (asking("https://videos.example/clip.mp4"), 400),
        (asking("file:///etc/passwd"), 400),
        (asking("clip.mp4"), 400),
        (asking("data:video/mp4;base64,"), 400),
        (asking("data:video/mp4;base64,@@@@"), 400),
        (asking({"type": "video_url"}), 400),
        (asking({"type": "video_url", "video_url": 5}), 400),
        (asking(*[url_of(clip(2, seed=seed)) for seed in range(5)]), 400),
        (about(url_of(clip(2))), 415),
    ],
)
def test_what_cannot_be_is_a_sentence(server: Server, messages: list[dict[str, Any]], status: int):
    response = server.ask(model="video", messages=messages)
    assert response.status_code == status, response.text
    assert response.json()["error"]["message"]


def test_limits_are_settings(tmp_path: Path):
    limits = {"limits__max_video_s": "2", "limits__max_video_pixels": "4000", "server__max_videos": "1"}
    with running(tmp_path / "home", "--model", "test", **limits) as server:
        assert server.ask(messages=asking(url_of(clip(2)))).status_code == 200
        refused = server.ask(messages=asking(url_of(clip(2)), url_of(clip(2, seed=1))))
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_request")
        for data in (clip(30, fps=10), clip(2, 80, 64)):
            refused = server.ask(messages=asking(url_of(data)))
            assert (refused.status_code, refused.json()["error"]["code"]) == (413, "picture_too_large")

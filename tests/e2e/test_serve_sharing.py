"""Many clients of one real server: whose turn it is, what is not computed twice, and who is not held up."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from clocks import GENEROUS_S
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.http.api_keys import ApiKeys, Scope
from tiny_smolvlm import SHAPES, make_checkpoint

from .serving import Server, about, data_url, png, running

QUESTION = [{"role": "user", "content": "hello"}]
NUM_PLACES = 32  # of the server that two clients share; one in eight is kept for who has less than a share
NUM_BUSY = 28  # requests that one client alone may have there


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "model", SHAPES[0])


def home_with(home: Path, tiny: Path) -> Path:
    RegisteredModels(home / "models.json").add(RegisteredModel("tiny", tiny, "smolvlm"))
    return home


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Server]:
    home = home_with(tmp_path_factory.mktemp("sharing") / "home", tiny)
    with running(home, "--model", "tiny", threads="1", inference__dtype="fp32") as one:
        one.wait_until(lambda: one.http.get("/health/ready").status_code == 200)
        yield one


@dataclass(frozen=True)
class Shared:
    """A server with few places and no cache, and the headers of two clients of it."""

    server: Server
    headers: dict[str, dict[str, str]]

    def ask(self, client: str, **body: Any) -> httpx2.Response:
        body = {"model": "tiny", "messages": QUESTION, **body}
        return self.server.http.post("/v1/chat/completions", json=body, headers=self.headers[client])

    def num_under_way(self) -> int:
        health = self.server.http.get("/health", headers=self.headers["single"])
        return health.json()["requests_under_way"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Shared]:
    home = home_with(tmp_path_factory.mktemp("shared") / "home", tiny)
    keys = {name: ApiKeys(home / "api-keys.json").add(name, frozenset(Scope)) for name in ("busy", "single")}
    headers = {name: {"authorization": f"Bearer {key}"} for name, key in keys.items()}
    bounds = {"max_answering": "4", "max_requests": str(NUM_PLACES), "result_cache_bytes": "0"}
    settings = {f"server__{name}": value for name, value in bounds.items()}
    with running(home, threads="1", inference__dtype="fp32", **settings) as server:
        one = Shared(server, headers)
        assert one.ask("single", max_tokens=1).status_code == 200
        yield one


def figure(server: Server, name: str) -> float:
    """Return the value of one line of /metrics, 0 where it is not there yet."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", server.http.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def tokens(server: Server, body: dict[str, Any]) -> Iterator[int]:
    """Stream an answer and tell how many tokens it has, each time that more of it comes."""
    body = {**body, "stream": True, "logprobs": True}
    num_tokens = 0
    with server.http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if line.startswith("data: {"):
                told = json.loads(line[6:])["choices"][0].get("logprobs")
                num_tokens += len(told["content"]) if told else 0
                if num_tokens:
                    yield num_tokens


def test_the_same_question_is_answered_once(server: Server):
    messages = about(data_url(png(1, 150, 90)))
    body = {"model": "tiny", "max_tokens": 30, "messages": messages}
    before = {
        kind: figure(server, f'smallsight_result_cache_total{{kind="{kind}"}}') for kind in ("hit", "miss")
    }
    num_tokens = figure(server, 'smallsight_tokens_total{kind="completion",model="tiny"}')
    first = server.ask(**body).json()
    second = server.ask(**{**body, "temperature": 0, "seed": 4}).json()
    streamed = server.http.post(
        "/v1/chat/completions", json={**body, "stream": True, "stream_options": {"include_usage": True}}
    ).text
    chunks = [json.loads(line[6:]) for line in streamed.split("\n\n") if line.startswith("data: {")]
    told = "".join(choice["delta"].get("content", "") for one in chunks for choice in one["choices"])
    assert first["choices"] == second["choices"]
    assert told == first["choices"][0]["message"]["content"] != ""
    assert first["usage"] == second["usage"] == chunks[-1]["usage"]
    assert first["inference_time"] > 0 == second["inference_time"]
    assert figure(server, 'smallsight_result_cache_total{kind="hit"}') == before["hit"] + 2
    assert figure(server, 'smallsight_result_cache_total{kind="miss"}') == before["miss"] + 1
    assert figure(server, 'smallsight_tokens_total{kind="completion",model="tiny"}') == num_tokens + 30
    response = server.http.post(
        "/v1/responses",
        json={
            "model": "tiny",
            "max_output_tokens": 30,
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_image", "image_url": data_url(png(1, 150, 90))},
                        {"type": "input_text", "text": "What is this?"},
                    ],
                }
            ],
        },
    ).json()
    assert response["output"][0]["content"][0]["text"] == first["choices"][0]["message"]["content"]
    assert figure(server, 'smallsight_result_cache_total{kind="hit"}') == before["hit"] + 3


def test_what_is_drawn_is_drawn_anew(server: Server):
    body = {"model": "tiny", "max_tokens": 20, "temperature": 1.5, "messages": about()}
    hits = figure(server, 'smallsight_result_cache_total{kind="hit"}')
    texts = {server.ask(**body).json()["choices"][0]["message"]["content"] for _ in range(4)}
    assert len(texts) > 1
    assert figure(server, 'smallsight_result_cache_total{kind="hit"}') == hits


def test_it_can_be_switched_off(shared: Shared):
    first, second = (shared.ask("single", max_tokens=5, messages=about()).json() for _ in range(2))
    assert first["choices"] == second["choices"]
    assert second["inference_time"] > 0
    told = shared.server.http.get("/metrics", headers=shared.headers["single"]).text
    assert 'smallsight_result_cache_total{kind="hit"} 0.0' in told


def test_a_second_question_about_a_picture_does_not_look_at_it_again(server: Server):
    picture = about(data_url(png(2, 140, 140)))
    encoded, known = (
        f'smallsight_tiles_total{{kind="{kind}",model="tiny"}}' for kind in ("encoded", "known")
    )
    before = figure(server, encoded), figure(server, known)
    assert server.ask(model="tiny", max_tokens=3, messages=picture).status_code == 200
    num_tiles = figure(server, encoded) - before[0]
    assert num_tiles > 1
    assert figure(server, known) == before[1]
    picture[0]["content"][-1]["text"] = "And who painted it?"
    assert server.ask(model="tiny", max_tokens=3, messages=picture).status_code == 200
    assert figure(server, encoded) == before[0] + num_tiles
    assert figure(server, known) == before[1] + num_tiles


def test_a_huge_picture_does_not_hold_up_anothers_tokens(server: Server):
    """Its tiles are looked at one a step, its prompt is read in pieces, and each step brings a token."""
    tiles = 'smallsight_tiles_total{kind="encoded",model="tiny"}'
    before = figure(server, tiles)
    written = [0]
    has_begun = threading.Event()

    def write() -> None:
        for written[0] in tokens(server, {"model": "tiny", "max_tokens": 1800, "messages": QUESTION}):
            has_begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert has_begun.wait(GENEROUS_S)
    messages = about(data_url(png(3, 600, 600)), text="word " * 150)
    messages[0]["content"][0]["image_url"]["detail"] = "high"
    begun = written[0]
    next(tokens(server, {"model": "tiny", "max_tokens": 3, "messages": messages}))
    meanwhile = written[0] - begun
    is_writing = writer.is_alive()
    writer.join()
    num_tiles = figure(server, tiles) - before
    assert num_tiles == 17
    assert is_writing, "the writer was meant to go on for longer"
    assert meanwhile >= num_tiles, f"{meanwhile} tokens"


def test_many_requests_of_one_client_do_not_starve_another(shared: Shared):
    ended: list[str] = []

    def ask(client: str, number: int) -> int:
        messages = about(data_url(png(100 + number, 140, 140)), text=f"Question {number}")
        status = shared.ask(client, max_tokens=60, temperature=1, messages=messages).status_code
        ended.append(client)
        return status

    num_busy = NUM_BUSY - 4
    with ThreadPoolExecutor(num_busy) as clients:
        busy = [clients.submit(ask, "busy", number) for number in range(num_busy)]
        shared.server.wait_until(lambda: shared.num_under_way() >= num_busy - 4)
        before = len(ended)
        statuses = {ask("single", 99)}
        overtaken = ended.index("single") - before
        statuses |= {one.result() for one in busy}
    assert statuses == {200}
    assert overtaken <= 12, f"{overtaken} answers of the busy client came before the single one"


def test_a_client_that_fills_the_server_leaves_places_to_others(shared: Shared):
    body = json.dumps({"model": "tiny", "max_tokens": 800, "messages": QUESTION})
    head = ["POST /v1/chat/completions HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    head += [f"{name}: {value}" for name, value in shared.headers["busy"].items()]
    request = "\r\n".join([*head, f"Content-Length: {len(body)}", "", body]).encode()
    with ExitStack() as busy:
        for _ in range(NUM_BUSY):
            address = ("127.0.0.1", shared.server.port)
            busy.enter_context(socket.create_connection(address, timeout=60)).sendall(request)
        shared.server.wait_until(lambda: shared.num_under_way() == NUM_BUSY)
        refused = shared.ask("busy", max_tokens=1)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert shared.ask("single", max_tokens=1).status_code == 200
    shared.server.wait_until(lambda: shared.num_under_way() == 0)

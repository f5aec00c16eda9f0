"""Many clients of one real server: whose turn it is, what is not computed twice, and who is not held up."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.http.api_keys import ApiKeys, Scope
from tiny_smolvlm import SHAPES, make_checkpoint

from .serving import Server, about, data_url, png, running

QUESTION = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "model", SHAPES[0])


def home_with(home: Path, tiny: Path) -> Path:
    RegisteredModels(home / "models.json").add(RegisteredModel("tiny", tiny, "smolvlm"))
    return home


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Server]:
    home = home_with(tmp_path_factory.mktemp("sharing") / "home", tiny)
    with running(home, "--model", "tiny", inference__dtype="fp32") as one:
        one.wait_until(lambda: one.http.get("/health/ready").status_code == 200)
        yield one


def figure(server: Server, name: str) -> float:
    """Return the value of one line of /metrics, 0 where it is not there yet."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", server.http.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def pieces(server: Server, body: dict[str, Any], headers: dict[str, str] | None = None) -> list[float]:
    """Stream an answer and return when each piece of its text came."""
    times = []
    with server.http.stream(
        "POST", "/v1/chat/completions", json={**body, "stream": True}, headers=headers, timeout=120
    ) as response:
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if line.startswith("data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                times.append(time.monotonic())  # noqa: PERF401 - the moment is the point
    return times


def test_the_same_question_is_answered_once(server: Server):
    messages = about(data_url(png(1, 150, 90)))
    body = {"model": "tiny", "max_tokens": 30, "messages": messages}
    before = {
        kind: figure(server, f'smallsight_result_cache_total{{kind="{kind}"}}') for kind in ("hit", "miss")
    }
    tokens = figure(server, 'smallsight_tokens_total{kind="completion",model="tiny"}')
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
    assert figure(server, 'smallsight_tokens_total{kind="completion",model="tiny"}') == tokens + 30
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


def test_it_can_be_switched_off(tmp_path: Path, tiny: Path):
    with running(home_with(tmp_path / "home", tiny), server__result_cache_bytes="0") as server:
        body = {"model": "tiny", "max_tokens": 5, "messages": about()}
        first, second = (server.ask(**body).json() for _ in range(2))
        assert first["choices"] == second["choices"]
        assert second["inference_time"] > 0
        assert figure(server, 'smallsight_result_cache_total{kind="hit"}') == 0


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
    writing: list[float] = []
    writer = threading.Thread(
        target=lambda: writing.extend(
            pieces(server, {"model": "tiny", "max_tokens": 1800, "messages": QUESTION})
        )
    )
    writer.start()
    while not server.health()["requests_under_way"]:
        time.sleep(0.01)
    time.sleep(0.3)
    messages = about(data_url(png(3, 600, 600)), text="word " * 150)
    messages[0]["content"][0]["image_url"]["detail"] = "high"
    began_s = time.monotonic()
    first_s = pieces(server, {"model": "tiny", "max_tokens": 3, "messages": messages})[0]
    writer.join()
    num_tiles = figure(server, tiles) - before
    meanwhile = [moment for moment in writing if began_s <= moment <= first_s]
    assert num_tiles == 17
    assert writing[-1] > first_s, "the writer was meant to go on for longer"
    assert len(meanwhile) >= num_tiles


def test_many_requests_of_one_client_do_not_starve_another(tmp_path: Path, tiny: Path):
    home = home_with(tmp_path / "home", tiny)
    keys = {name: ApiKeys(home / "api-keys.json").add(name, frozenset(Scope)) for name in ("busy", "single")}
    headers = {name: {"authorization": f"Bearer {key}"} for name, key in keys.items()}
    ended: dict[str, list[float]] = {"busy": [], "single": []}
    statuses: list[int] = []

    def ask(server: Server, client: str, number: int) -> None:
        body = {"model": "tiny", "max_tokens": 60, "temperature": 1}
        body["messages"] = about(data_url(png(100 + number, 140, 140)), text=f"Question {number}")
        response = httpx2.post(
            f"{server.url}/v1/chat/completions", json=body, headers=headers[client], timeout=120
        )
        statuses.append(response.status_code)
        ended[client].append(time.monotonic())

    with running(home, inference__dtype="fp32", server__max_answering="4") as server:
        ask(server, "single", 0)
        busy = [threading.Thread(target=ask, args=(server, "busy", number)) for number in range(1, 51)]
        for one in busy:
            one.start()
        deadline = time.monotonic() + 20
        while server.http.get("/health", headers=headers["busy"]).json()["requests_under_way"] < 30:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        before = len(ended["busy"])
        ask(server, "single", 99)
        overtaken = len(ended["busy"]) - before
        for one in busy:
            one.join()
    assert set(statuses) == {200}
    assert len(ended["busy"]) == 50
    assert overtaken <= 12, f"{overtaken} answers of the busy client came before the single one"


def test_a_client_that_fills_the_server_leaves_places_to_others(tmp_path: Path, tiny: Path):
    home = home_with(tmp_path / "home", tiny)
    keys = {name: ApiKeys(home / "api-keys.json").add(name, frozenset(Scope)) for name in ("busy", "single")}
    headers = {name: {"authorization": f"Bearer {key}"} for name, key in keys.items()}
    answers: list[httpx2.Response] = []

    def ask(server: Server, client: str, max_tokens: int) -> httpx2.Response:
        body = {"model": "tiny", "max_tokens": max_tokens, "messages": QUESTION}
        answers.append(
            httpx2.post(f"{server.url}/v1/chat/completions", json=body, headers=headers[client], timeout=120)
        )
        return answers[-1]

    with running(
        home, inference__dtype="fp32", server__max_requests="8", server__result_cache_bytes="0"
    ) as server:
        assert ask(server, "single", 1).status_code == 200
        busy = [threading.Thread(target=ask, args=(server, "busy", 1900)) for _ in range(7)]
        for one in busy:
            one.start()
        while server.http.get("/health", headers=headers["busy"]).json()["requests_under_way"] < 7:
            time.sleep(0.01)
        refused = ask(server, "busy", 1)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert ask(server, "single", 1).status_code == 200
        for one in busy:
            one.join()
    assert [one.status_code for one in answers].count(429) == 1

"""Models on another server: a real second process, which dies and comes back."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from benchmarks.served_process import PEERS, transformers_server

import smallsight
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.errors import RemoteModelError
from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.settings import Settings
from tiny_smolvlm import SHAPES, make_checkpoint

from .serving import Server, about, data_url, png, running

REST_S = 1.0
TRAINED = Path(__file__).resolve().parents[2] / "training" / "begun" / "model"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {name: make_checkpoint(root / name, SHAPES[i]) for i, name in enumerate(("far", "near"))}


def home_with(home: Path, name: str, folder: Path) -> Path:
    RegisteredModels(home / "models.json").add(RegisteredModel(name, folder, "smolvlm"))
    return home


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Pair:
    """A server here, and one there that can be killed and started again on the same port."""

    def __init__(self, root: Path, folders: dict[str, Path]) -> None:
        self.port = free_port()
        self.there_home = home_with(root / "there", "far", folders["far"])
        self.key = ApiKeys(self.there_home / "api-keys.json").add("here", frozenset(Scope))
        self.there: Server | None = None
        self.here_home = home_with(root / "here", "near", folders["near"])
        self.remote = {
            "base_url": f"http://127.0.0.1:{self.port}/v1/",
            "model": "far",
            "api_key_env": "KEY_OF_THERE",
            "fallback": "near",
            "rest_s": REST_S,
            "retries": 1,
            "timeout_s": 20,
        }
        alone = {name: value for name, value in self.remote.items() if name != "fallback"}
        self.settings = {
            "remotes": json.dumps({"afar": self.remote, "alone": alone}),
            "inference__dtype": "fp32",
        }

    def start_there(self) -> Server:
        self.there = Server(self.there_home, "--port", str(self.port), inference__dtype="fp32")
        return self.there

    def kill_there(self) -> None:
        assert self.there is not None
        self.there.process.send_signal(signal.SIGKILL)
        self.there.process.wait(20)
        self.there.stop()
        self.there = None


@pytest.fixture
def pair(tmp_path: Path, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    one = Pair(tmp_path, folders)
    monkeypatch.setenv("KEY_OF_THERE", one.key)
    yield one
    if one.there is not None:
        one.there.stop()


def text(answer: dict[str, Any]) -> str:
    return answer["choices"][0]["message"]["content"]


def streamed(server: Server, **body: Any) -> tuple[str, list[dict[str, Any]]]:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    told = server.http.post("/v1/chat/completions", json={**body, **options})
    assert told.status_code == 200, told.text
    chunks = [json.loads(line[6:]) for line in told.text.split("\n\n") if line.startswith("data: {")]
    pieces = [choice["delta"].get("content", "") for one in chunks for choice in one.get("choices", ())]
    return "".join(pieces).strip(), chunks


def circuit(server: Server, name: str = "afar") -> str:
    return next(one["circuit"] for one in server.health()["remotes"] if one["name"] == name)


def test_it_answers_with_the_words_of_the_other_server(pair: Pair):
    body = {"max_tokens": 12, "messages": about(data_url(png(1, 90, 60)), text="What is this?")}
    there = pair.start_there()
    direct = there.http.post(
        "/v1/chat/completions",
        json={"model": "far", **body},
        headers={"authorization": f"Bearer {pair.key}"},
    ).json()
    with running(pair.here_home, **pair.settings) as here:
        told = here.ask(model="AFAR", **body).json()
        assert text(told) == text(direct) != ""
        assert told["model"] == "afar"
        for kind in ("prompt_tokens", "completion_tokens"):
            assert told["usage"][kind] == direct["usage"][kind]
        assert told["usage"]["prompt_tokens_details"]["image_tokens"] > 0
        assert told["choices"][0]["finish_reason"] == "length"
        said, chunks = streamed(here, model="afar", **body)
        assert said == text(direct)
        assert chunks[-1]["usage"]["completion_tokens"] == 12
        assert here.health()["models"] == [], "nothing is loaded here"
        listed = {one["id"]: one["owned_by"] for one in here.http.get("/v1/models").json()["data"]}
        assert listed["afar"] == "remote"
        assert here.http.get("/v1/models/afar").json()["id"] == "afar"
        with openai.OpenAI(base_url=f"{here.url}/v1", api_key="any", max_retries=0) as client:
            response = client.responses.create(model="afar", input="hello", max_output_tokens=5)
            assert response.output_text
            several = client.chat.completions.create(
                model="afar", messages=body["messages"], max_tokens=12, n=3
            )
            assert {choice.message.content for choice in several.choices} == {text(direct)}
        assert pair.key not in here.log.read_text()


def test_a_fallback_answers_while_it_is_down_and_the_circuit_closes_again(pair: Pair):
    body = {"max_tokens": 8, "messages": about(data_url(png(2)))}
    pair.start_there()
    with running(pair.here_home, **pair.settings) as here:
        far = text(here.ask(model="afar", **body).json())
        near = here.ask(model="near", **body).json()
        assert text(near) != far
        pair.kill_there()
        for _ in range(3):
            told = here.ask(model="afar", **body)
            assert told.status_code == 200, told.text
            assert (text(told.json()), told.json()["model"]) == (text(near), "near")
        assert circuit(here) == "open"
        assert streamed(here, model="afar", **body)[0] == text(near)
        refused = here.ask(model="alone", **body)
        assert refused.status_code == 502
        assert refused.json()["error"]["code"] == "remote_model"
        metrics = here.http.get("/metrics").text
        assert 'smallsight_remote_circuit{model="afar",state="open"} 1.0' in metrics
        assert re.search(r'smallsight_remote_requests_total\{kind="fallback",model="afar"\} 4\.0', metrics)
        here.wait_until(lambda: circuit(here) == "half_open")
        assert here.ask(model="afar", **body).json()["model"] == "near"  # the trial failed
        assert circuit(here) == "open"
        pair.start_there()
        here.wait_until(lambda: circuit(here) == "half_open")
        again = here.ask(model="afar", **body).json()
        assert (text(again), again["model"]) == (far, "afar")
        assert circuit(here) == "closed"
        assert here.ask(model="alone", **body).status_code == 200


def test_a_server_that_dies_in_the_middle_ends_the_stream_with_an_error(pair: Pair):
    pair.start_there()
    with running(pair.here_home, **pair.settings) as here:
        body = {"model": "afar", "max_tokens": 1900, "stream": True}
        body["messages"] = [{"role": "user", "content": "hello"}]
        events = []
        with here.http.stream("POST", "/v1/chat/completions", json=body) as response:
            for line in response.iter_lines():
                events += [json.loads(line[6:])] if line.startswith("data: {") else []
                if len(events) == 20 and pair.there is not None:
                    pair.kill_there()
        assert events[-1]["error"]["code"] == "remote_model"


def test_who_leaves_is_missed_there_too(pair: Pair):
    there = pair.start_there()
    headers = {"authorization": f"Bearer {pair.key}"}

    def num_there() -> int:
        return there.http.get("/health", headers=headers).json()["requests_under_way"]

    def wait_for(number: int) -> None:
        deadline = time.monotonic() + 5
        while num_there() != number:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    with running(pair.here_home, **pair.settings) as here:
        body = {"model": "afar", "max_tokens": 1900, "n": 4, "stream": True}
        body["messages"] = [{"role": "user", "content": "hello"}]
        with here.http.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = response.iter_lines()  # dropped, it would close the response
            next(lines)
            wait_for(4)
            del lines
        wait_for(0)
        assert circuit(here) == "closed"


def test_a_wrong_question_is_the_clients_and_a_wrong_key_the_operators(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
):
    pair.start_there()
    with running(pair.here_home, **pair.settings) as here:
        refused = here.ask(model="afar", messages=[{"role": "user", "content": "word " * 3000}])
        assert refused.status_code == 400
        assert "rejected the request: The prompt has" in refused.json()["error"]["message"]
        assert circuit(here) == "closed"
        assert here.ask(model="afar", logprobs=True).status_code == 400
    monkeypatch.setenv("KEY_OF_THERE", "wrong")
    with running(pair.here_home, **pair.settings) as here:
        assert here.ask(model="afar", max_tokens=3).json()["model"] == "near"
        assert here.ask(model="alone").status_code == 502
        assert "wrong" not in here.log.read_text().replace("wrongly", "")


def test_a_server_that_does_not_answer_in_time_is_given_up(pair: Pair):
    with socket.create_server(("127.0.0.1", pair.port), backlog=8):
        pair.remote |= {"timeout_s": 0.4}
        pair.settings["remotes"] = json.dumps({"afar": pair.remote})
        with running(pair.here_home, **pair.settings) as here:
            here.ask(model="near", max_tokens=3)
            assert here.ask(model="afar", max_tokens=3).json()["model"] == "near"


def test_the_active_model_may_be_elsewhere_and_move_without_a_restart(pair: Pair):
    pair.start_there()
    del pair.settings["remotes"]
    file = pair.here_home / "smallsight.toml"
    entry = f'[remotes.afar]\nbase_url = "http://127.0.0.1:{pair.port}/v1"\napi_key_env = "KEY_OF_THERE"\n'
    file.write_text(entry + 'model = "far"\n')
    with running(pair.here_home, "--model", "afar", **pair.settings) as here:
        here.wait_until(lambda: here.http.get("/health/ready").status_code == 200)
        assert here.ask(max_tokens=3).json()["model"] == "afar"
        assert here.health()["models"] == []
        file.write_text(entry + 'model = "nobody"\nretries = 0\nfallback = "near"\n')
        assert here.ask(max_tokens=3).json()["model"] == "near"
        file.write_text(entry + 'model = "nobody"\nretries = 0\nfallback = "nobody-here"\n')
        assert here.ask(max_tokens=3).status_code == 502
        assert "fallback_cannot_be_used" in here.log.read_text()
        file.write_text("")
        assert here.ask(max_tokens=3).status_code == 404
        assert here.health()["remotes"] == []


def test_they_are_listed_and_their_health_told_before_anybody_asks(tmp_path: Path):
    """Nobody listens there, and nobody has to: listing asks nothing."""
    nowhere = f"http://127.0.0.1:{free_port()}/v1"
    remotes = {
        "lab/big:8b": {"base_url": nowhere, "retries": 0, "max_failures": 1},
        "Test": {"base_url": nowhere, "fallback": "test", "retries": 0},  # takes the place of the one here
    }
    fresh = {"circuit": "closed", "answers": 0, "failures": 0, "fallbacks": 0}
    with running(tmp_path, remotes=json.dumps(remotes)) as here:
        listed = here.http.get("/v1/models").json()["data"]
        for one in listed:
            assert one["object"] == "model"
            assert here.http.get(f"/v1/models/{one['id']}").json() == one
        assert [(one["id"], one["owned_by"]) for one in listed if one["owned_by"] == "remote"] == [
            ("Test", "remote"),
            ("lab/big:8b", "remote"),
        ]
        assert [one["id"].casefold() for one in listed].count("test") == 1
        assert here.http.get("/v1/models/LAB/BIG:8B").json()["id"] == "lab/big:8b"
        assert here.health()["remotes"] == [
            {"name": "Test", "fallback": "test", **fresh},
            {"name": "lab/big:8b", "fallback": None, **fresh},
        ]
        assert here.http.get("/health/live").status_code == 200
        instead = here.ask(model="Test", messages=about(data_url(name="cat.png")))
        assert (instead.status_code, instead.json().get("model")) == (200, "test"), instead.text
        assert here.ask(model="lab/big:8b").status_code == 502
        assert here.health()["remotes"] == [
            {"name": "Test", "fallback": "test", **fresh, "failures": 1, "fallbacks": 1},
            {"name": "lab/big:8b", "fallback": None, **fresh, "circuit": "open", "failures": 1},
        ]


def test_from_python_and_the_command_line(pair: Pair, folders: dict[str, Path], tmp_path: Path):
    picture = tmp_path / "picture.png"
    picture.write_bytes(png(5))
    settings = Settings(home=pair.here_home, remotes={"afar": pair.remote})
    with smallsight.load(folders["far"], precision="fp32") as far:
        expected = far.describe(picture, max_tokens=10)
    environment = {
        **os.environ,
        "SMALLSIGHT_HOME": str(pair.here_home),
        "SMALLSIGHT_REMOTES": json.dumps({"afar": pair.remote}),
    }
    command = [sys.executable, "-m", "smallsight", "describe", str(picture), "--model", "afar"]

    def described(*more: str) -> str:
        done = subprocess.run(
            [*command, "--max-tokens", "10", *more],
            env=environment,
            capture_output=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.decode("utf-8", "replace")

    pair.start_there()
    with smallsight.load("afar", settings=settings) as model:
        answer = model.describe(picture, max_tokens=10)
        assert (answer.text, answer.model) == (expected.text, "afar")
        assert answer.usage.prompt_tokens == expected.usage.prompt_tokens
        assert "".join(model.stream(picture, max_tokens=10)).strip() == expected.text
        many = list(model.describe_many([picture, tmp_path / "none.png", picture], max_tokens=10))
        assert [getattr(one, "text", None) for one in many] == [expected.text, None, expected.text]
        assert json.loads(described("--json"))[0]["text"] == expected.text
        pair.kill_there()
        instead = model.describe(picture, max_tokens=10)
        assert instead.model == "near"
        assert json.loads(described("--json"))[0]["model"] == "near"
    alone = Settings(home=pair.here_home, remotes={"afar": {**pair.remote, "fallback": None}})
    with (
        smallsight.load("afar", settings=alone, engine="remote") as model,
        pytest.raises(RemoteModelError, match="cannot be reached"),
    ):
        model.describe(picture)


def test_closing_ends_what_is_under_way(pair: Pair):
    pair.start_there()
    model = smallsight.load("afar", settings=Settings(home=pair.here_home, remotes={"afar": pair.remote}))
    reply = model.start([], "hello", max_tokens=1900)
    begun = threading.Event()
    reply.listen(lambda _: begun.set())
    assert begun.wait(20)
    model.close()
    assert reply.answer().finish_reason == "cancelled"


@pytest.mark.skipif(not (PEERS / "accelerate").is_dir(), reason="transformers serve needs `make peers`")
def test_another_makers_server_answers_too(tmp_path: Path):
    """It computes in its own way, so only what does not hang on the last bit is compared."""
    picture = png(6, 150, 90)
    with transformers_server(TRAINED) as there:
        remote = {"base_url": f"{there.url}/v1", "model": str(TRAINED)}
        settings = Settings(home=tmp_path, remotes={"afar": remote})
        with (
            smallsight.load("afar", settings=settings) as afar,
            smallsight.load(TRAINED, precision="fp32") as near,
        ):
            told, expected = (
                model.ask(picture, "What is this?", max_tokens=4, detail="high") for model in (afar, near)
            )
    assert told.text
    assert told.usage.prompt_tokens == expected.usage.prompt_tokens
    assert (told.usage.completion_tokens, told.finish_reason) == (4, "length")

"""Models on another server: a real second process, which dies and comes back."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from benchmarks.served_process import PEERS, transformers_server

import smallsight
from clocks import GENEROUS_S, wait_until
from forked_commands import run_command
from free_ports import free_port
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.errors import RemoteModelError
from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.settings import Settings
from tiny_smolvlm import SHAPES, make_checkpoint

from .serving import Server, about, data_url, png, running

REST_S = 1.0
LONG_REST_S = 600.0  # longer than any test
TRAINED = Path(__file__).resolve().parents[2] / "training" / "begun" / "model"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {name: make_checkpoint(root / name, SHAPES[i]) for i, name in enumerate(("far", "near"))}


def home_with(home: Path, name: str, folder: Path) -> Path:
    RegisteredModels(home / "models.json").add(RegisteredModel(name, folder, "smolvlm"))
    return home


class Pair:
    """A server here, and one there that can be killed and started again on the same port.

    Both are shared by all tests, since starting one takes seconds; each test names its own remote models.
    """

    def __init__(self, root: Path, folders: dict[str, Path]) -> None:
        self.port = free_port()
        self.there_home = home_with(root / "there", "far", folders["far"])
        self.key = ApiKeys(self.there_home / "api-keys.json").add("here", frozenset(Scope))
        self.there_or_none: Server | None = None
        self.here_home = home_with(root / "here", "near", folders["near"])
        self.remote = {
            "base_url": f"http://127.0.0.1:{self.port}/v1/",
            "model": "far",
            "api_key_env": "KEY_OF_THERE",
            "fallback": "near",
            "rest_s": REST_S,
            "retries": 1,
            "timeout_s": 60,
        }

    @property
    def alone(self) -> dict[str, Any]:
        """The same model without a fallback."""
        return {name: value for name, value in self.remote.items() if name != "fallback"}

    @property
    def there(self) -> Server:
        """The server there, started if it does not run."""
        if self.there_or_none is None:
            self.there_or_none = Server(
                self.there_home, "--port", str(self.port), threads="1", inference__dtype="fp32"
            )
        return self.there_or_none

    def kill_there(self) -> None:
        self.there.process.send_signal(signal.SIGKILL)
        self.there.process.wait(20)
        self.there.stop()
        self.there_or_none = None

    def point(self, **remotes: dict[str, Any]) -> None:
        """Give the server here these remote models in place of those it had."""
        lines = []
        for name, remote in remotes.items():
            lines += [
                f'[remotes."{name}"]',
                *(f"{key} = {json.dumps(value)}" for key, value in remote.items()),
            ]
        (self.here_home / "smallsight.toml").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, folders: dict[str, Path]) -> Iterator[Pair]:
    one = Pair(tmp_path_factory.mktemp("pair"), folders)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEY_OF_THERE", one.key)
        patch.setenv("WRONG_KEY", "mistaken")
        yield one
    if one.there_or_none is not None:
        one.there_or_none.stop()


@pytest.fixture(scope="module")
def here(pair: Pair) -> Iterator[Server]:
    assert pair.there.http.get("/health/live").status_code == 200
    pair.point(active=pair.remote)
    with running(pair.here_home, "--model", "active", threads="1", inference__dtype="fp32") as one:
        yield one


def text(answer: dict[str, Any]) -> str:
    return answer["choices"][0]["message"]["content"]


def streamed(server: Server, **body: Any) -> tuple[str, list[dict[str, Any]]]:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    told = server.http.post("/v1/chat/completions", json={**body, **options})
    assert told.status_code == 200, told.text
    chunks = [json.loads(line[6:]) for line in told.text.split("\n\n") if line.startswith("data: {")]
    pieces = [choice["delta"].get("content", "") for one in chunks for choice in one.get("choices", ())]
    return "".join(pieces).strip(), chunks


def num_loads(server: Server) -> float:
    found = re.search(r"^smallsight_model_loads_total (\S+)$", server.http.get("/metrics").text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def circuit(server: Server, name: str) -> str:
    return next(one["circuit"] for one in server.health()["remotes"] if one["name"] == name)


def test_it_answers_with_the_words_of_the_other_server(pair: Pair, here: Server):
    body = {"max_tokens": 12, "messages": about(data_url(png(1, 90, 60)), text="What is this?")}
    direct = pair.there.http.post(
        "/v1/chat/completions",
        json={"model": "far", **body},
        headers={"authorization": f"Bearer {pair.key}"},
    ).json()
    pair.point(afar=pair.remote)
    loads = num_loads(here)
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
    assert num_loads(here) == loads, "nothing is loaded here"
    listed = {one["id"]: one["owned_by"] for one in here.http.get("/v1/models").json()["data"]}
    assert listed["afar"] == "remote"
    assert here.http.get("/v1/models/afar").json()["id"] == "afar"
    with openai.OpenAI(base_url=f"{here.url}/v1", api_key="any", max_retries=0) as client:
        response = client.responses.create(model="afar", input="hello", max_output_tokens=5)
        assert response.output_text
        several = client.chat.completions.create(model="afar", messages=body["messages"], max_tokens=12, n=3)
        assert {choice.message.content for choice in several.choices} == {text(direct)}
    assert pair.key not in here.log.read_text()


def die_in_the_middle_of_a_stream(pair: Pair, here: Server, model: str) -> dict[str, Any]:
    """Kill the server there when a stream has brought twenty pieces, and return the last event here."""
    body = {"model": model, "max_tokens": 1900, "stream": True}
    body["messages"] = [{"role": "user", "content": "hello"}]
    events = []
    with here.http.stream("POST", "/v1/chat/completions", json=body) as response:
        for line in response.iter_lines():
            events += [json.loads(line[6:])] if line.startswith("data: {") else []
            if len(events) == 20 and pair.there_or_none is not None:
                pair.kill_there()
    return events[-1]


def num_fallbacks(server: Server, name: str) -> float:
    line = rf'smallsight_remote_requests_total\{{kind="fallback",model="{name}"\}} (\S+)'
    found = re.search(line, server.http.get("/metrics").text)
    return float(found[1]) if found is not None else 0.0


def test_dying_ends_the_stream_and_a_fallback_answers_while_the_circuit_is_open(pair: Pair, here: Server):
    body = {"max_tokens": 8, "messages": about(data_url(png(2)))}
    assert pair.there.process.poll() is None
    pair.point(failing={**pair.remote, "rest_s": LONG_REST_S}, lonely=pair.alone)
    far = text(here.ask(model="failing", **body).json())
    near = here.ask(model="near", **body).json()
    assert text(near) != far
    last = die_in_the_middle_of_a_stream(pair, here, "failing")
    assert last["error"]["code"] == "remote_model"
    for _ in range(3):
        told = here.ask(model="failing", **body).json()
        assert (text(told), told["model"]) == (text(near), "near")
    assert circuit(here, "failing") == "open"
    assert streamed(here, model="failing", **body)[0] == text(near)
    refused = here.ask(model="lonely", **body)
    assert refused.status_code == 502
    assert refused.json()["error"]["code"] == "remote_model"
    assert 'smallsight_remote_circuit{model="failing",state="open"} 1.0' in here.http.get("/metrics").text
    assert num_fallbacks(here, "failing") == 4


def test_a_failed_trial_opens_the_circuit_again_and_a_server_that_came_back_closes_it(
    pair: Pair, here: Server
):
    body = {"max_tokens": 8, "messages": about(data_url(png(2)))}
    assert pair.there.process.poll() is None
    pair.point(trying=pair.remote)
    far = text(here.ask(model="trying", **body).json())
    pair.kill_there()
    for _ in range(3):
        assert here.ask(model="trying", **body).json()["model"] == "near"
    here.wait_until(lambda: circuit(here, "trying") == "half_open")
    assert here.ask(model="trying", **body).json()["model"] == "near"  # the trial failed
    assert circuit(here, "trying") != "closed"
    assert pair.there.process.poll() is None, "started again"
    here.wait_until(lambda: circuit(here, "trying") == "half_open")
    again = here.ask(model="trying", **body).json()
    assert (text(again), again["model"]) == (far, "trying")
    assert circuit(here, "trying") == "closed"


def test_who_leaves_is_missed_there_too(pair: Pair, here: Server):
    there = pair.there
    headers = {"authorization": f"Bearer {pair.key}"}

    def num_there() -> int:
        return there.http.get("/health", headers=headers).json()["requests_under_way"]

    pair.point(left=pair.remote)
    body = {"model": "left", "max_tokens": 1900, "n": 4, "stream": True}
    body["messages"] = [{"role": "user", "content": "hello"}]
    with here.http.stream("POST", "/v1/chat/completions", json=body) as response:
        lines = response.iter_lines()  # dropped, it would close the response
        next(lines)
        wait_until(lambda: num_there() == 4)
        del lines
    wait_until(lambda: num_there() == 0)
    assert circuit(here, "left") == "closed"


def test_a_wrong_question_is_the_clients_and_a_wrong_key_the_operators(pair: Pair, here: Server):
    assert pair.there.process.poll() is None
    pair.point(asked=pair.remote)
    refused = here.ask(model="asked", messages=[{"role": "user", "content": "word " * 3000}])
    assert refused.status_code == 400
    assert "rejected the request: The prompt has" in refused.json()["error"]["message"]
    assert circuit(here, "asked") == "closed"
    assert here.ask(model="asked", logprobs=True).status_code == 400
    wrong = {"api_key_env": "WRONG_KEY"}
    pair.point(asked={**pair.remote, **wrong}, alone={**pair.alone, **wrong})
    assert here.ask(model="asked", max_tokens=3).json()["model"] == "near"
    assert here.ask(model="alone").status_code == 502
    assert "mistaken" not in here.log.read_text()


def test_a_server_that_does_not_answer_in_time_is_given_up(pair: Pair, here: Server):
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        pair.point(silent={**pair.remote, "base_url": url, "timeout_s": 0.4})
        assert here.ask(model="silent", max_tokens=3).json()["model"] == "near"


def test_the_active_model_may_be_elsewhere_and_move_without_a_restart(pair: Pair, here: Server):
    assert pair.there.process.poll() is None
    pair.point(active=pair.remote)
    here.wait_until(lambda: here.http.get("/health/ready").status_code == 200)
    loads = num_loads(here)
    assert here.ask(max_tokens=3).json()["model"] == "active"
    assert num_loads(here) == loads
    nobody = {**pair.remote, "model": "nobody", "retries": 0}
    pair.point(active=nobody)
    assert here.ask(max_tokens=3).json()["model"] == "near"
    pair.point(active={**nobody, "fallback": "nobody-here"})
    assert here.ask(max_tokens=3).status_code == 502
    assert "fallback_cannot_be_used" in here.log.read_text()
    pair.point()
    assert here.ask(max_tokens=3).status_code == 404
    assert here.health()["remotes"] == []


def test_they_are_listed_and_their_health_told_before_anybody_asks(pair: Pair, here: Server):
    """Nobody listens there, and nobody has to: listing asks nothing."""
    nowhere = f"http://127.0.0.1:{free_port()}/v1"
    remotes = {
        "lab/big:8b": {"base_url": nowhere, "retries": 0, "max_failures": 1},
        "Test": {"base_url": nowhere, "fallback": "test", "retries": 0},  # takes the place of the one here
    }
    fresh = {"circuit": "closed", "answers": 0, "failures": 0, "fallbacks": 0}
    pair.point(**remotes)
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


def test_closing_ends_what_is_under_way(pair: Pair, tmp_path: Path):
    assert pair.there.process.poll() is None
    model = smallsight.load("afar", settings=Settings(home=tmp_path, remotes={"afar": pair.alone}))
    reply = model.start([], "hello", max_tokens=1900)
    begun = threading.Event()
    reply.listen(lambda _: begun.set())
    assert begun.wait(GENEROUS_S)
    model.close()
    assert reply.answer().finish_reason == "cancelled"


def test_from_python_and_the_command_line(pair: Pair, folders: dict[str, Path], tmp_path: Path):
    """It kills the server there: as the last of those that need it, it leaves nothing to start again."""
    picture = tmp_path / "picture.png"
    picture.write_bytes(png(5))
    home = home_with(tmp_path / "home", "near", folders["near"])
    settings = Settings(home=home, remotes={"afar": pair.remote})
    with smallsight.load(folders["far"], precision="fp32") as far:
        expected = far.describe(picture, max_tokens=10)
    assert pair.there.process.poll() is None
    with smallsight.load("afar", settings=settings) as model:
        answer = model.describe(picture, max_tokens=10)
        assert (answer.text, answer.model) == (expected.text, "afar")
        assert answer.usage.prompt_tokens == expected.usage.prompt_tokens
        assert "".join(model.stream(picture, max_tokens=10)).strip() == expected.text
        many = list(model.describe_many([picture, tmp_path / "none.png", picture], max_tokens=10))
        assert [getattr(one, "text", None) for one in many] == [expected.text, None, expected.text]
        remotes = json.dumps({"afar": pair.remote})
        assert described_by_command(home, picture, remotes)[0]["text"] == expected.text
        pair.kill_there()
        instead = model.describe(picture, max_tokens=10)
        assert instead.model == "near"
    alone = Settings(home=home, remotes={"afar": pair.alone})
    with (
        smallsight.load("afar", settings=alone, engine="remote") as model,
        pytest.raises(RemoteModelError, match="cannot be reached"),
    ):
        model.describe(picture)


def described_by_command(home: Path, picture: Path, remotes: str) -> list[dict[str, Any]]:
    command = ["describe", str(picture), "--model", "afar", "--max-tokens", "10", "--json"]
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home), "SMALLSIGHT_REMOTES": remotes}
    code, out, err = run_command(command, environment, timeout_s=100)
    assert code == 0, err
    return json.loads(out)


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

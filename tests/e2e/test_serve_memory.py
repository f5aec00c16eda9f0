"""What a real server says about memory, and what it remembers of it between runs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from tiny_smolvlm import SHAPES, make_checkpoint

from .serving import Server, about, data_url, png, running

QUESTION = [{"role": "user", "content": "hello"}]
SLOW = [f"slow {number}" for number in range(5)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "model", SHAPES[0])


@pytest.fixture
def home(tmp_path: Path, tiny: Path) -> Path:
    RegisteredModels(tmp_path / "home" / "models.json").add(RegisteredModel("tiny", tiny, "smolvlm"))
    return tmp_path / "home"


def ask(server: Server, **body: Any) -> int:
    return server.ask(**{"model": "tiny", "max_tokens": 2, "messages": QUESTION, **body}).status_code


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Server]:
    """A server that keeps its models for ever; each of ``SLOW`` is asked for only once."""
    home = tmp_path_factory.mktemp("memory") / "home"
    for name in ("tiny", *SLOW):
        RegisteredModels(home / "models.json").add(RegisteredModel(name, tiny, "smolvlm"))
    bounds = {"memory__keep_alive_s": "-1", "memory__max_loaded_models": "2"}
    with running(home, threads="1", **bounds) as one:
        yield one


def seen_while_loading(server: Server, name: str) -> list[int]:
    """Return the percentages in /health while a model is loaded."""
    asked = threading.Thread(target=ask, args=(server,), kwargs={"model": name})
    asked.start()
    seen = []
    while asked.is_alive():
        models = [one for one in server.health()["models"] if one["name"] == name]
        seen += [one["progress_percent"] for one in models if one["stage"] == "loading"]
    asked.join()
    (loaded,) = (one for one in server.health()["models"] if one["name"] == name)
    assert loaded["progress_percent"] == 100
    assert seen == sorted(seen)
    return seen


def test_loading_is_seen_in_health(server: Server):
    seen = []
    for name in SLOW:  # a model so small may be loaded between two looks
        seen += seen_while_loading(server, name)
        if any(0 < percent <= 80 for percent in seen):
            return
    pytest.fail(f"only {seen} were seen")


def test_for_ever_is_for_ever(server: Server):
    assert ask(server) == 200
    assert "tiny" in [one["name"] for one in server.health()["models"]]


def test_decoders_count(server: Server):
    assert ask(server, messages=about(data_url(png()))) == 200
    children = psutil.Process(server.process.pid).children()
    assert len(children) >= 1
    memory = server.health()["memory"]
    assert memory["decoders_bytes"] > 5_000_000
    assert memory["resident_bytes"] > server.resident_bytes() * 0.9 + memory["decoders_bytes"]
    told = server.http.get("/metrics").text
    figures = {
        kind: float(re.search(rf"^smallsight_memory_{kind}_bytes (\S+)$", told, re.MULTILINE)[1])
        for kind in ("resident", "peak", "budget", "decoders", "free")
    }
    assert figures["budget"] == memory["budget_bytes"]
    assert figures["peak"] >= figures["resident"] - figures["decoders"] - 50_000_000
    assert min(figures.values()) > 0


def test_what_was_measured_is_known_before_loading_in_the_next_run(home: Path):
    with running(home, threads="1") as server:
        assert ask(server, messages=about(data_url(png()))) == 200
        idle_bytes = server.resident_bytes()
    file = home / "measured-memory.json"
    (key,) = (state := json.loads(file.read_text()))["models"]
    assert key.startswith("tiny|")
    assert state["models"][key]["loading_bytes"] > 0
    assert state["models"][key]["first_answer_bytes"] > 0
    state["models"][key]["loading_bytes"] = 50 * 1024**3  # as if it were a large one
    file.write_text(json.dumps(state))
    with running(home, memory__max_gb="20") as server:
        response = server.ask(model="tiny", messages=QUESTION)
        assert response.status_code == 503
        assert re.search(r"needs about 50\.\d+ GiB .* GiB are available", response.text)
        assert int(response.headers["retry-after"]) > 0
        assert server.resident_bytes() < idle_bytes
        assert "smallsight_model_loads_total 0.0" in server.http.get("/metrics").text

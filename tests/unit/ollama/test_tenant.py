"""The tenant in this process: keys, missing files of the text model, and what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.serve.app import make_app
from smallsight.services.live_settings import LiveSettings
from smallsight.services.serving import Serving

ROUTES = ("chat", "generate", "embed", "embeddings", "show", "pull", "create", "copy", "push", "nothing")


@contextmanager
def served(home: Path, **overrides: object) -> Iterator[TestClient]:
    app = make_app(Serving(LiveSettings({"home": home, "active_model": "test", **overrides})))
    with TestClient(app.asgi, base_url="http://127.0.0.1") as client:
        yield client


def test_every_route_asks_for_a_key_before_it_reads_the_body(tmp_path: Path):
    key = ApiKeys(tmp_path / "api-keys.json").add("client", frozenset({Scope.USE}))
    watcher = ApiKeys(tmp_path / "api-keys.json").add("watcher", frozenset({Scope.MONITOR}))
    with served(tmp_path) as client:
        for path in ("version", "tags", "ps"):
            assert client.get(f"/api/{path}").status_code == 401
        for path in ROUTES[:-1]:
            answer = client.post(f"/api/{path}", content=b"{")
            assert (answer.status_code, list(answer.json())) == (401, ["error"]), path
        assert client.request("DELETE", "/api/delete").status_code == 401
        headers = {"authorization": f"Bearer {key}"}
        assert client.get("/api/version", headers=headers).status_code == 200
        headers = {"authorization": f"Bearer {watcher}"}
        assert client.get("/api/version", headers=headers).status_code == 403


def test_pages_of_other_sites_are_refused_in_ollamas_shape(tmp_path: Path):
    with served(tmp_path) as client:
        answer = client.post("/api/pull", content=b"{}", headers={"origin": "https://example.org"})
        assert (answer.status_code, list(answer.json())) == (403, ["error"])


def test_missing_files_of_the_text_model_are_named(tmp_path: Path):
    with served(tmp_path, embedding={"model_dir": str(tmp_path / "nowhere")}) as client:
        answer = client.post("/v1/embeddings", json={"input": "a cat"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_unavailable")
        answer = client.post("/api/embed", json={"model": "nowhere", "input": "a cat"})
        assert answer.status_code == 503
        assert "does not exist" in answer.json()["error"]
        assert [one["name"] for one in client.get("/api/tags").json()["models"]][-1] != "nowhere:latest"


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_is_counted(tmp_path: Path, *, stream: bool):
    with served(tmp_path) as client:
        answer = client.post("/api/generate", json={"model": "test", "prompt": "x", "stream": stream})
        assert answer.status_code == 200
        assert client.get("/metrics").text.count(
            'smallsight_tokens_total{kind="completion",model="test"} 2.0'
        )

"""The page of models, its changes of settings, and models on other servers, without a browser."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from contract.served import served
from smallsight.catalog.catalog import load_catalog
from smallsight.inventory.listing import Fit
from smallsight.services.model_overview import MemoryLimits
from smallsight.services.remote_providers import masked_key
from smallsight.settings import load_settings
from stored_verdicts import store_verdict

KEY = "sk-a-secret-that-nobody-sees-abcd"


@pytest.fixture(scope="module")
def running_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("models")
        patch.setenv("SMALLSIGHT_HOME", str(home))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield home


@pytest.fixture(scope="module")
def started(running_home: Path) -> Iterator[TestClient]:
    with served(running_home, active_model=None) as (client, _):
        yield client


@pytest.fixture
def home(running_home: Path) -> Path:
    (running_home / "smallsight.toml").unlink(missing_ok=True)
    return running_home


@pytest.fixture
def client(started: TestClient, home: Path) -> TestClient:
    return started


def text_of(client: TestClient, path: str = "/app/models") -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def token_of(client: TestClient) -> str:
    found = re.search(r'name="form-token" content="(\w+)"', text_of(client, "/app/live"))
    assert found is not None
    return found[1]


def post(client: TestClient, path: str, **fields: str) -> Any:
    return client.post(path, data={"form_token": token_of(client), **fields}, follow_redirects=False)


def test_every_entry_is_shown_with_licence_and_memory(client: TestClient):
    page = text_of(client)
    for entry in load_catalog().entries:
        base = load_catalog().base_of(entry)
        assert f"<h2>{base.name}</h2>" in page
        assert base.licence.url in page
        if entry.precision is not None:
            assert f"Memory of {entry.name}" in page
    assert page.count("Download") >= 7
    assert "EXPERIMENTAL" in page


@pytest.mark.parametrize(
    ("needed_gib", "fit"), [(1, Fit.FITS), (5.5, Fit.FITS), (6, Fit.TIGHT), (7, Fit.TOO_LARGE)]
)
def test_a_model_is_measured_against_the_machine_and_the_budget(needed_gib: float, fit: Fit):
    limits = MemoryLimits(machine_bytes=8 * 1024**3, budget_bytes=int(6.4 * 1024**3))
    assert limits.fit(int(needed_gib * 1024**3)) is fit


def test_a_model_is_made_current_without_a_restart(client: TestClient, home: Path):
    (home / "smallsight.toml").write_text("# mine\nthreads = 1\n")
    assert post(client, "/app/models/use", name="Smallsight-tiny").status_code == 303
    assert (home / "smallsight.toml").read_text() == '# mine\nthreads = 1\nactive_model = "Smallsight-tiny"\n'
    assert client.get("/health").json()["active_model"] == "Smallsight-tiny"
    assert re.search(r"Answers questions</dt><dd><b>Smallsight-tiny", text_of(client))
    assert post(client, "/app/models/describe-with", name="test").status_code == 303
    assert load_settings().describe.model == "test"
    assert post(client, "/app/models/describe-with", name="").status_code == 303
    assert load_settings().describe.model is None


@pytest.mark.parametrize("name", ["SmolVLM-256M-Instruct", "nothing", "../../etc"])
def test_what_is_not_here_cannot_be_made_current(client: TestClient, home: Path, name: str):
    answer = post(client, "/app/models/use", name=name)
    assert answer.status_code == 404
    assert not (home / "smallsight.toml").exists()


def test_what_a_variable_sets_cannot_be_changed(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SMALLSIGHT_DESCRIBE__MODEL", "Smallsight-tiny")
    with served(home) as (client, _):
        page = text_of(client)
    assert "set by an environment variable" in page
    assert "models/describe-with" not in page


def test_a_change_needs_the_token_of_the_page(client: TestClient, home: Path):
    assert client.post("/app/models/use", data={"name": "test"}).status_code == 403
    assert not (home / "smallsight.toml").exists()


class OtherServer(BaseHTTPRequestHandler):
    """Chat completions that repeat how they were asked."""

    keys: list[str | None] = []  # noqa: RUF012 - of all requests
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.keys.append(self.headers.get("authorization"))
        said = "red" if b"data:image/png;base64," in body else "no picture"
        answer = b'{"choices": [{"message": {"content": "%s"}, "finish_reason": "stop"}]}' % said.encode()
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def other() -> Iterator[str]:
    OtherServer.keys, OtherServer.status = [], 200
    server = HTTPServer(("127.0.0.1", 0), OtherServer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def add_server(client: TestClient, url: str, **fields: str) -> Any:
    given = {"name": "big", "base_url": url, "key": KEY, **fields}
    return post(client, "/app/models/servers", **given)


def test_another_server_is_added_tried_changed_and_removed(client: TestClient, home: Path, other: str):
    assert add_server(client, other).status_code == 303
    key_file = load_settings().remotes["big"].api_key_file
    assert key_file is not None
    assert (key_file.read_text(), key_file.stat().st_mode & 0o777) == (KEY, 0o600)
    page = text_of(client)
    assert "sk-…abcd" in page
    assert KEY not in page + (home / "smallsight.toml").read_text()
    tried = post(client, "/app/models/servers/try", name="big")
    assert re.search(r"It works: it answered after \d+\.\d s\. <q>red</q>", tried.text)
    assert OtherServer.keys == [f"Bearer {KEY}"]
    assert add_server(client, other, before="big", name="bigger", key="", model="m").status_code == 303
    assert list(load_settings().remotes) == ["bigger"]
    assert load_settings().remotes["bigger"].api_key() == KEY
    assert post(client, "/app/models/servers/remove", name="bigger").status_code == 303
    assert load_settings().remotes == {}


def test_a_key_stays_with_the_server_it_is_for(client: TestClient, other: str):
    add_server(client, other)
    moved = add_server(client, "http://127.0.0.1:9/v1", before="big", key="")
    assert moved.headers["location"] == "/app/models?key=dropped#servers"
    assert load_settings().remotes["big"].key_source is None
    assert "enter it again" in text_of(client, "/app/models?key=dropped")


def test_a_variable_of_the_server_cannot_be_sent_elsewhere(client: TestClient, home: Path, other: str):
    (home / "smallsight.toml").write_text(
        f'[remotes.big]\nbase_url = "{other}"\napi_key_env = "SMALLSIGHT_HOME"\n'
    )
    add_server(client, "http://127.0.0.1:9/v1", before="big", key="", api_key_env="PATH")
    assert load_settings().remotes["big"].api_key_env is None


def test_a_server_that_does_not_answer_is_said_so(client: TestClient, other: str):
    OtherServer.status = 401
    add_server(client, other)
    assert "answered with status 401" in post(client, "/app/models/servers/try", name="big").text
    add_server(client, "http://127.0.0.1:9/v1", before="big")
    assert "cannot be reached" in post(client, "/app/models/servers/try", name="big").text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"base_url": "ftp://a"}, "must be an http or https URL"),
        ({"base_url": "http://user:secret@a/v1"}, "must not contain a user"),
        ({"timeout_s": "-1"}, "greater than 0"),
        ({"name": "moondream2"}, "There is a model called"),
        ({"name": "a/b"}, "Invalid name"),
    ],
)
def test_a_mistake_is_said_in_the_form(client: TestClient, home: Path, fields: dict[str, str], said: str):
    answer = add_server(client, "http://127.0.0.1:9/v1", **fields)
    assert answer.status_code == 422
    assert said in answer.text
    assert KEY not in answer.text
    assert not (home / "smallsight.toml").exists()


@pytest.mark.parametrize(
    ("key", "shown"), [("", ""), ("short", "…"), ("sk-1234567890abcd", "sk-…abcd"), ("x" * 30, "…xxxx")]
)
def test_keys_are_masked(key: str, shown: str):
    assert masked_key(key) == shown


def test_a_picture_that_is_sent_is_answered(client: TestClient):
    from e2e.serving import png

    headers = {"x-form-token": token_of(client)}

    def ask(data: bytes = png(), **fields: str) -> Any:
        return client.post(
            "/app/ask", data=fields, files={"picture": ("a red cat.png", data)}, headers=headers
        )

    answer = ask(model="test")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert '{"text":"red"}' in answer.text.replace(" ", "")
    assert '"model":"test"' in answer.text
    assert ask(b"no picture", model="test").status_code == 415
    assert ask(model="nothing").status_code == 404
    assert ask(question="?" * 2001).status_code == 400
    assert client.post("/app/ask", data={"model": "test"}, headers=headers).status_code == 400


def test_measured_verdicts_are_shown_with_what_they_rest_on(client: TestClient, home: Path):
    store_verdict(load_settings(), "Florence-2-base-int4", "experimental", is_decided=False)
    page = text_of(client)
    assert re.search(r'<span class="chip small warn">INT4: experimental</span>', page)
    about = re.search(r'<ul class="verdicts">(.*?)</ul>', page, re.DOTALL)
    assert about is not None
    words = " ".join(re.sub(r"<[^>]+>", "", about[1]).split())
    assert words == (
        "experimental Florence-2-base-int4: quality 91.0 % on 64 pictures, 28 Nov 2026 · "
        "too few pictures to decide"
    )
    german = client.get("/app/models", headers={"accept-language": "de"}).text
    assert "Qualität 91,0 % bei 64 Bildern" in german


@pytest.mark.parametrize(
    ("action", "written"),
    [("use", 'active_model = "test"'), ("describe-with", 'model = "test"')],
)
def test_a_model_that_must_not_ship_becomes_current_only_after_a_question(
    client: TestClient, home: Path, action: str, written: str
):
    settings_file = home / "smallsight.toml"
    assert post(client, f"/app/models/{action}", name="test").status_code == 303
    settings_file.unlink()
    store_verdict(
        load_settings(), "test", "do not ship", measured_at_s=time.time(), reasons=("<b>Bad</b> answers.",)
    )
    try:
        asked = post(client, f"/app/models/{action}", name="test")
        assert asked.status_code == 200
        assert not settings_file.exists()
        assert "Use test all the same?" in asked.text
        assert "&lt;b&gt;Bad&lt;/b&gt; answers." in asked.text
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', asked.text))
        answer = re.search(rf'<form method="post" action="(/app/models/{action})"', asked.text)
        assert answer is not None
        assert client.post(answer[1], data=fields, follow_redirects=False).status_code == 303
        assert written in settings_file.read_text()
    finally:
        store_verdict(load_settings(), "test", "stable", measured_at_s=time.time())

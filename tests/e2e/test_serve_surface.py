"""What clients of OpenAI's protocol expect around the answers: the list, names, paths, hosts, and limits."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from forked_commands import run_command
from smallsight.errors import SettingsError
from smallsight.http.api_keys import ApiKeys, Scope
from smallsight.serve.process import require_key
from smallsight.settings import Settings

from .document_steps import ROOT
from .serving import Server, about, data_url, running

TINY = "Smallsight-tiny"
END_TOKEN = "42"  # of Smallsight-tiny
CONTAINERS = ROOT / "docs" / "containers.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("surface") / "home"
    home.mkdir()
    (home / "smallsight.toml").write_text(f'[aliases]\n"gpt-4o-mini" = "{TINY}"\n"gone" = "nothing"\n')
    with running(home, "--model", TINY) as server:
        yield server


def ids(server: Server) -> list[str]:
    return [one["id"] for one in server.http.get("/v1/models").json()["data"]]


def test_the_first_model_of_the_list_is_the_active_one(server: Server):
    client = OpenAI(base_url=f"{server.url}/v1", api_key="none")
    first = client.models.list().data[0]
    assert (first.id, first.object, first.to_dict()["max_model_len"]) == (TINY, "model", 2048)
    assert ids(server) == [TINY, "gpt-4o-mini"]
    found = server.http.get("/v1/models").json()
    assert (found["has_more"], found["first_id"], found["last_id"]) == (False, TINY, "gpt-4o-mini")
    assert client.models.retrieve("test").id == "test"


def test_an_alias_answers_as_its_model(server: Server):
    answer = server.ask(model="GPT-4o-mini", max_tokens=2)
    assert (answer.status_code, answer.json()["model"]) == (200, TINY)
    told = server.ask(model="gone").json()["error"]["message"]
    assert "gone is an alias of nothing, which cannot be used" in told


def test_an_unknown_name_is_told_the_names_that_work(server: Server):
    for answer in (server.ask(model="dummy"), server.http.get("/v1/models/dummy")):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (404, "model_not_found")
        assert error["message"].endswith(f"hint: GET /v1/models: {TINY}, gpt-4o-mini.")


def test_changed_settings_and_saved_variants_appear_at_once(server: Server):
    file = server.home / "smallsight.toml"
    text = file.read_text()
    file.write_text(text + '"later" = "test"\n[server]\nany_model_name = true\n')
    assert "later" in ids(server)
    assert server.ask(model="dummy", max_tokens=2).json()["model"] == TINY
    command = ["models", "add-variant", "small", "--base", TINY, "--scheme", "int4"]
    environment = {**os.environ, "SMALLSIGHT_HOME": str(server.home), "SMALLSIGHT_CONFIG": ""}
    code, _, err = run_command(command, environment)
    assert code == 0, err
    assert "small" in ids(server)
    file.write_text(text + '"a" = "b"\n"b" = "a"\n')
    assert "later" in ids(server), "a circle is not taken; the settings before stay"
    file.write_text(text)
    assert ids(server) == [TINY, "small", "gpt-4o-mini"]


@pytest.mark.parametrize(
    "path",
    ["/models", "/v1/models/", "//v1//models", "/v1/v1/models", f"/models/{TINY}", f"/v1//models/{TINY}/"],
)
def test_a_path_that_is_meant_well_is_served(server: Server, path: str):
    answer = server.http.get(f"{server.url}{path}")
    assert answer.status_code == 200
    assert TINY in answer.text
    assert server.http.get("/models?x=1").status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/health", "/health/live", "/v1/models", f"/v1/models/{TINY}", "/models"]
)
def test_head_has_the_status_of_get_and_no_body(server: Server, path: str):
    answer = server.http.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_an_answer_takes_the_rest_of_the_context_where_nobody_limits_it(server: Server):
    asked = [{"role": "user", "content": "word " * 345}]
    body = {"messages": asked, "logit_bias": {END_TOKEN: -100}, "logprobs": True}
    answer = server.http.post("/v1/chat/completions", json=body).json()
    assert (answer["choices"][0]["finish_reason"], answer["usage"]["total_tokens"]) == ("length", 2048)
    assert answer["usage"]["completion_tokens"] > 256, "more than the limit of earlier releases"
    limited = server.http.post("/v1/chat/completions", json={**body, "max_tokens": 3.0}).json()
    assert limited["usage"]["completion_tokens"] == 3


def test_parts_of_responses_are_understood_in_chat(server: Server):
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": data_url(), "detail": "medium"},
    ]
    body = {
        "messages": [{"role": "user", "content": parts}],
        "max_tokens": 2,
        "logprobs": False,
        "top_logprobs": 0,
    }
    answer = server.http.post("/chat/completions/", json=body)
    assert answer.status_code == 200
    assert answer.json()["usage"]["prompt_tokens_details"]["image_tokens"] > 0


def test_an_error_has_the_real_place(server: Server):
    messages = about(data_url())
    messages[0]["content"].append({"type": "input_audio", "input_audio": {}})
    error = server.ask(messages=messages).json()["error"]
    assert error["param"] == "messages.0.content.2.type"
    assert error["message"].startswith(
        "messages.0.content.2.type: 'input_audio' is not known here; text, image_url, video_url"
    )


def host_status(server: Server, host: str, key: str = "") -> int:
    headers = {"host": host} | ({"authorization": f"Bearer {key}"} if key else {})
    return server.http.get("/v1/models", headers=headers).status_code


def test_containers_reach_the_server_by_the_names_of_this_machine(server: Server):
    for host in ("host.docker.internal:8420", "host.containers.internal", "HOST.docker.internal"):
        assert host_status(server, host) == 200
    for host in ("smallsight:8420", "host.docker.internal.evil.example", "evil.internal"):
        assert host_status(server, host) == 400


def test_with_a_key_names_without_a_dot_and_any_page_may_be_let_in(tmp_path: Path):
    home = tmp_path / "home"
    home.mkdir()
    key = ApiKeys(home / "api-keys.json").add("containers", frozenset({Scope.USE}))
    with running(home, server__allowed_origins='["*"]') as server:
        assert (host_status(server, "smallsight:8420", key), host_status(server, "smallsight")) == (200, 401)
        assert host_status(server, "smallsight.example", key) == 400
        page = {"origin": "https://page.example"}
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        allowed = server.http.options("/v1/chat/completions", headers=page | asked)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "*")
        headers = page | {"authorization": f"Bearer {key}", "sec-fetch-site": "cross-site"}
        body = {"model": "test", "messages": [{"role": "user", "content": "hello"}]}
        answer = server.http.post("/v1/chat/completions", json=body, headers=headers)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
        assert server.http.post("/v1/chat/completions", json=body, headers=page).status_code == 401


@pytest.mark.parametrize("name", ["allowed_hosts", "allowed_origins"])
def test_a_star_without_a_key_is_refused_at_the_start(tmp_path: Path, name: str):
    with pytest.raises(SettingsError, match=rf'"\*" in server.{name} and without an API key'):
        require_key(Settings(home=tmp_path, server={name: ["*"]}))
    with pytest.raises(ValueError, match="is a pattern"):
        Settings(server={name: ["https://*.example"]})


def test_the_settings_of_the_page_about_containers_can_be_used():
    blocks = re.findall(
        r"^```toml\n(.*?)^```$", CONTAINERS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 1
    settings = Settings(**tomllib.loads(blocks[0]))
    assert settings.meant_by("GPT-4o-mini") == settings.active_model

"""What the operator of a real server sees and may change: settings with their origin, and the log."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from forked_commands import run_command
from smallsight.http.api_keys import ApiKeys, Scope

from .serving import about, data_url, png, running


def print_settings(home: Path, *arguments: str, **environment: str) -> dict[str, tuple[Any, str]]:
    command = ["serve", "--print-settings", "--json", *arguments]
    code, out, err = run_command(command, {**os.environ, "SMALLSIGHT_HOME": str(home), **environment})
    assert code == 0, err
    return {one["name"]: (one["value"], one["origin"]) for one in json.loads(out)}


@pytest.mark.parametrize(("model", "code"), [("nosuch", 3), ("SmolVLM-256M-Instruct", 5)])
def test_a_model_that_cannot_be_loaded_ends_the_command_at_once(tmp_path: Path, model: str, code: int):
    environment = {"SMALLSIGHT_HOME": str(tmp_path), "HF_HUB_CACHE": str(tmp_path / "cache")}
    command = ["serve", "--port", "0", "--model", model]
    ended, _, err = run_command(command, {**os.environ, **environment}, timeout_s=60)
    assert ended == code, err
    assert "Listening" not in err
    assert model in err
    assert "hint:" in err


def test_settings_are_shown_with_their_origin_before_it_starts(tmp_path: Path):
    file = tmp_path / "smallsight.toml"
    file.write_text('active_model = "filed"\nthreads = 2\n[server]\nport = 1\n')
    found = print_settings(tmp_path, "--port", "0", "--model", "test", SMALLSIGHT_SERVER__HOST="localhost")
    assert found["server.port"] == (0, "flag")
    assert found["active_model"] == ("test", "flag")
    assert found["server.host"] == ("localhost", "environment")
    assert found["threads"] == (2, str(file))
    assert found["log_format"] == ("text", "default")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_the_log_tells_what_happened_and_no_secrets(tmp_path: Path, log_format: str):
    home = tmp_path / "home"
    key = ApiKeys(home / "api-keys.json").add("phone", frozenset(Scope))
    picture, secret = png(9), "the question about the purple elephant"
    answers = []
    with running(home, "--model", "test", "--log-format", log_format) as server:
        for headers in (
            {"authorization": f"Bearer {key}", "x-request-id": "my-own.id"},
            {"authorization": f"Bearer {key}", "cookie": "session=sesame", "x-request-id": "bad\tid{}"},
            {"authorization": "Bearer wrong-key-of-a-stranger"},
        ):
            for messages in (
                about(data_url(picture), text=secret),
                about(data_url(picture[:200]), text=secret),
                about("https://elsewhere.example/private.png?token=hush", text=secret),
                [{"role": secret}],
            ):
                body = {"model": "test", "messages": messages, "user": "hidden-user"}
                answers.append(server.http.post("/v1/chat/completions", json=body, headers=headers))
        server.http.get("/v1/models/purple-elephant?key=hush", headers={"authorization": f"Bearer {key}"})
    log = server.log.read_text()
    assert {one.status_code for one in answers} >= {200, 400, 401, 422}
    hidden = [
        key,
        key[3:],
        "wrong-key-of-a-stranger",
        "sesame",
        "hush",
        "elephant",
        "hidden-user",
        "elsewhere",
    ]
    encoded = base64.b64encode(picture).decode()
    hidden += [encoded[place : place + 24] for place in range(0, len(encoded) - 24, 24)]
    assert [one for one in hidden if one in log] == []
    ids = [one.headers["x-request-id"] for one in answers]
    assert "my-own.id" in ids
    assert all(one in log for one in ids)
    if log_format == "json":
        lines = [json.loads(line) for line in log.splitlines()]
        requests = [line for line in lines if line["event"] == "request"]
        assert {line["request_id"] for line in requests} >= set(ids)
        assert all({"timestamp", "level", "route", "status", "seconds"} <= line.keys() for line in requests)

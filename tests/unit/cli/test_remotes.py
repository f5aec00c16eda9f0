"""``smallsight models`` about names that stand for models on other servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from smallsight.cli.main import invoke

LONG = "http://a-machine-with-a-long-name.on.the.inner.network.example:8080/some/deep/path/v1"
FILE = f"""
[remotes.big]
base_url = "http://192.168.1.20:8080/v1/"
model = "qwen2.5-vl-7b"
api_key_env = "BIG_KEY"
fallback = "SmolVLM-256M-Instruct-int8"

[remotes.Alone]
base_url = "{LONG}"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("BIG_KEY", "a secret")
    monkeypatch.delenv("SMALLSIGHT_CONFIG", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "smallsight.toml").write_text(FILE)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert invoke(["models", *arguments]) == 0
    out = capsys.readouterr().out
    assert "a secret" not in out
    return out


@pytest.mark.usefixtures("home")
def test_they_are_listed_below_the_models_of_this_machine(capsys: pytest.CaptureFixture[str]):
    out = printed(capsys)
    _, below = out.split("On other servers")
    (row,) = (line for line in below.splitlines() if line.startswith("big"))
    assert row.split()[:2] == ["big", "http://192.168.1.20:8080/v1"]
    assert "SmolVLM-256M-Instruct-int8" in below
    assert "none" in below
    assert LONG in below


@pytest.mark.usefixtures("home")
def test_as_json_with_nothing_cut(capsys: pytest.CaptureFixture[str]):
    alone, big = json.loads(printed(capsys, "--json"))["remotes"]
    assert alone == {"name": "Alone", "base_url": LONG, "model": "Alone", "fallback": None}
    assert big == {
        "name": "big",
        "base_url": "http://192.168.1.20:8080/v1",
        "model": "qwen2.5-vl-7b",
        "fallback": "SmolVLM-256M-Instruct-int8",
    }
    assert json.loads(printed(capsys, "show", "BIG", "--json")) == big


@pytest.mark.usefixtures("home")
def test_one_is_shown_with_the_variable_of_its_key(capsys: pytest.CaptureFixture[str]):
    out = printed(capsys, "show", "big")
    for said in ("http://192.168.1.20:8080/v1", "qwen2.5-vl-7b", "in BIG_KEY", "SmolVLM-256M-Instruct-int8"):
        assert said in out


def test_without_any_nothing_is_said(home: Path, capsys: pytest.CaptureFixture[str]):
    (home / "smallsight.toml").write_text("")
    assert "other servers" not in printed(capsys)
    assert json.loads(printed(capsys, "--json"))["remotes"] == []

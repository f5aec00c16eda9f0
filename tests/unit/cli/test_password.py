"""``smallsight password`` from standard input, as scripts use it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from smallsight.cli.main import invoke
from smallsight.http.page_password import PagePassword, password_path
from smallsight.http.sessions import Sessions, sessions_path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path))
    return tmp_path


def test_it_is_set_and_removed_and_ends_sessions(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("sys.stdin", io.StringIO("a long enough one\n"))
    assert invoke(["password"]) == 0
    assert "Running servers take it at once." in capsys.readouterr().err
    password = PagePassword(password_path(home))
    assert password.matches("a long enough one")
    sessions = Sessions(sessions_path(home))
    sessions.open("x", "", "")
    assert invoke(["password", "--remove", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"password": False}
    assert not password.is_on
    assert sessions.all({"x"}) == []
    assert invoke(["password", "--remove"]) == 0
    assert "There was no password." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "problem"), [("", "no password on standard input"), ("short\n", "8 to 1,000")]
)
def test_nothing_and_too_little_are_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, problem: str
):
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    assert invoke(["password"]) == 2
    assert problem in capsys.readouterr().err
    assert not password_path(home).exists()

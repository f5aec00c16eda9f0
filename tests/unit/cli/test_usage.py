"""One style of errors and one table of exit codes, also for what the parser of the command line finds."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from smallsight.cli.commands import _GROUPS
from smallsight.cli.completion import key_names, model_names, search_filters, tag_names
from smallsight.cli.main import invoke
from smallsight.http.api_keys import ApiKeys


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("line", "code", "message", "hint"),
    [
        ("search --mode foo cat", 2, "--mode cannot be 'foo'.", "use one of fused, keyword, semantic."),
        ("search --limt 3 cat", 2, "There is no option --limt.", "did you mean --limit?"),
        ("search -n 0 cat", 2, "--limit has to be greater than or equal to 1.", "search --help"),
        ("search -n x cat", 2, "--limit has to be a valid integer.", "search --help"),
        ("serve --port 99999", 2, "--port has to be less than or equal to 65535.", "serve --help"),
        ("show", 2, "PICTURE is missing.", "`smallsight show --help`"),
        ("serch cat", 2, "No such command 'serch'. Did you mean 'search'", "smallsight --help"),
        ("search", 2, "Nothing to search for.", "smallsight search cat"),
        ("search cat --json --paths", 2, "--json cannot be combined", "leave one out"),
        ("search cat", 3, "There is no library", "smallsight index"),
        ("keys remove nosuch", 3, "There is no key called 'nosuch'.", "smallsight keys"),
        ("keys add x --scope foo", 2, "--scope cannot be 'foo'.", "use use, monitor, edit, pages."),
        ("models add /nonexist", 3, "There is no folder /nonexist.", "config.json"),
        ("models show nosuch", 3, "nosuch", "models"),
        ("serve --model ./nosuch --port 0", 3, "./nosuch", "models"),
    ],
)
def test_wrong_usage_is_one_sentence_and_a_hint(line, code, message, hint, capsys):
    assert invoke(line.split()) == code
    printed = capsys.readouterr()
    text = printed.err if "--json" not in line else printed.out
    assert message in text
    assert hint in text
    assert "Usage:" not in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("variable", "message", "hint"),
    [
        ("SMALLSIGHT_TREADS", "There is no setting SMALLSIGHT_TREADS.", "SMALLSIGHT_THREADS?"),
        ("SMALLSIGHT_DESCRIBE__MODLE", "There is no setting describe.modle.", "did you mean describe.model?"),
    ],
)
def test_a_mistyped_setting_is_named_with_the_one_that_was_meant(
    variable, message, hint, monkeypatch, capsys
):
    monkeypatch.setenv(variable, "4")
    assert invoke(["folders"]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert hint in printed


def test_a_key_of_another_server_may_be_in_a_variable_of_any_name(monkeypatch):
    monkeypatch.setenv("SMALLSIGHT_OTHER_SERVERS_KEY", "sk-1")
    assert invoke(["settings", "--json"]) == 0


def test_an_empty_home_is_no_home_and_a_tilde_is_the_users(monkeypatch, capsys):
    monkeypatch.setenv("SMALLSIGHT_HOME", "")
    assert invoke(["settings"]) == 0
    assert re.search(r"^home +environment +/.*smallsight", capsys.readouterr().out, re.MULTILINE)
    monkeypatch.setenv("SMALLSIGHT_HOME", "~/ss")
    assert invoke(["settings"]) == 0
    line = rf"^home +environment +{re.escape(str(Path.home()))}/ss$"
    assert re.search(line, capsys.readouterr().out, re.MULTILINE)


def test_a_port_in_use_is_busy(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert invoke(["serve", "--port", str(taken.getsockname()[1])]) == 6
    assert "address already in use" in capsys.readouterr().err


def test_doctor_reports_broken_settings_and_goes_on(home, capsys):
    home.mkdir()
    (home / "smallsight.toml").write_text("index = [")
    assert invoke(["doctor"]) == 5
    printed = capsys.readouterr().out
    assert "The settings could not be read" in printed
    assert "SQLite" in printed
    assert "library" in printed


def test_doctor_reports_a_home_that_is_a_file(home, capsys):
    home.write_text("")
    assert invoke(["doctor"]) == 5
    printed = capsys.readouterr().out
    assert f"{home} is not a folder" in printed
    assert "library" in printed


def test_what_nobody_reads_is_no_error():
    """``smallsight settings | head -1`` ends as other programs do, without a message."""
    command = f"{sys.executable} -m smallsight settings | head -1; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ)
    )
    assert ended.stdout.splitlines()[-1] in {"0", "141"}
    assert ended.stderr == ""


def test_help_names_a_command(capsys):
    assert invoke(["help", "search"]) == 0
    assert "Find pictures by their words" in capsys.readouterr().out


def test_completion_offers_what_is_there(home):
    assert "SmolVLM-256M-Instruct" in model_names("Smol")
    assert tag_names("") == []  # there is no library: nothing is offered, and nothing raised
    ApiKeys(home / "api-keys.json").add("phone", frozenset())
    assert key_names("ph") == ["phone"]
    assert search_filters("ta") == ["tag:"]


@pytest.mark.parametrize("line", ["--help", *(f"{one} --help" for one in _GROUPS)])
def test_no_summary_of_a_command_is_cut_off(line: str, capsys: pytest.CaptureFixture[str]):
    """A summary ends with "..." where its first sentence is too long for a terminal of 80 columns."""
    assert invoke(line.split()) == 0
    summaries = capsys.readouterr().out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert summaries
    for summary in summaries:
        assert summary.startswith("  ")
        assert summary.endswith("."), summary
        assert not summary.endswith("..."), summary


def test_one_long_setting_does_not_widen_the_lines_of_all(capsys: pytest.CaptureFixture[str]):
    assert invoke(["settings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) > 200  # index.exclude
    assert sum(len(line) > 120 for line in lines) <= 3

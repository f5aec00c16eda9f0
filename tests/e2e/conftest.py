"""The real command in a process of its own, with a data folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from forked_commands import ForkedProcess, command_server, run_command

WORDS = [
    *("monday", "coffee", "robot", "pizza", "deadline", "server", "garden", "lighthouse", "umbrella"),
    *("penguin", "volcano", "bicycle", "thunder", "pancake", "keyboard", "dinosaur", "balloon", "whisper"),
    *("mountain", "octopus", "sandwich", "telescope", "rainbow", "hammock"),
]


@dataclass
class Command:
    """Runs ``smallsight`` with its own home; every process is ended when the test is.

    The processes are forked from one that has imported the program. ``run`` and ``json`` return when the
    command has ended, ``start`` does not wait. ``run_afresh`` begins a fresh process, like a shell.
    """

    home: Path
    started: list[ForkedProcess] = field(default_factory=list)

    def start(self, *arguments: str | Path) -> ForkedProcess:
        words = [*map(str, arguments)]
        self.started.append(command_server().start(words, self.environment(), out=None, err=None))
        return self.started[-1]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "SMALLSIGHT_HOME": str(self.home), "COLUMNS": "200"}

    def run(self, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
        ended, out, err = run_command([*map(str, arguments)], self.environment())
        assert ended == code, f"exit code {ended}\n{out}\n{err}"
        return out, err

    def run_afresh(self, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
        """Do the same in a fresh process, for what is decided while the program is imported."""
        words = [sys.executable, "-m", "smallsight", *map(str, arguments)]
        ended = subprocess.run(
            words, env=self.environment(), capture_output=True, text=True, timeout=300, check=False
        )
        assert ended.returncode == code, f"exit code {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout, ended.stderr

    def json(self, *arguments: str | Path, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code)[0])


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The networks that any library of these tests has prepared, in any process that runs tests."""
    shared = tmp_path_factory.getbasetemp()
    folder = (shared if worker_id == "master" else shared.parent) / "prepared"
    folder.mkdir(exist_ok=True)
    return folder


def with_prepared(home: Path, prepared: Path) -> Command:
    """Return the command with an empty home, but for networks that need not be prepared again."""
    home.mkdir()
    (home / "graphs").symlink_to(prepared)
    return Command(home)


@pytest.fixture
def smallsight(tmp_path: Path, prepared: Path) -> Iterator[Command]:
    """The command with an empty home, but for networks that need not be prepared again."""
    command = with_prepared(tmp_path / "home", prepared)
    yield command
    end_all(command)


def end_all(command: Command) -> None:
    for process in command.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def draw_text() -> Callable[[Path, str], None]:
    """Write a small picture with a line of text on it; the font comes with Pillow."""
    font = ImageFont.load_default(size=26)

    def draw(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (16 + 15 * len(text), 64), (250, 250, 245))
        ImageDraw.Draw(image).text((8, 14), text, font=font, fill=(10, 10, 30))
        image.save(path)

    return draw

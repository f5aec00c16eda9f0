"""Somebody who types what the documents say: a home with pictures, models, and a library to begin with."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from clips import clip
from forked_commands import command_server, run_command
from local_hub import LocalHub, running_hub
from tiny_dual_encoder import write_tiny_siglip
from tiny_florence2 import TinyFlorence2, write_tiny_florence2
from tiny_moondream2 import SHAPES as MOONDREAM2
from tiny_moondream2 import write_tiny_moondream2
from tiny_smolvlm import SHAPES, VIDEO_SHAPES, make_checkpoint

from .document_steps import ROOT
from .serving import Server

_NEEDS_A_SHELL = frozenset("|<>")
_WATCHES_WITHIN_S = 120.0


@dataclass
class Person:
    """Somebody with a home, and a shell in which the lines of the documents are typed."""

    home: Path
    typed: Mapping[str, str]  # answers to the questions of a command line
    server: Server | None = None

    def type(self, line: str) -> tuple[int, str, str]:
        """Run a line and return its exit code, output and errors."""
        line = line.removeprefix(".venv/bin/")
        if {"watch", "--watch"} & {*line.split()}:
            return self.watch(line)
        tokens = list(shlex.shlex(line, posix=True, punctuation_chars=True))
        if line in self.typed or any(token[:1] in _NEEDS_A_SHELL for token in tokens):
            return self._in_a_shell(line)
        words = ["bash", "-c", f"printf '%s\\0' {line}"]
        expanded = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        return run_command(expanded.split("\0")[1:-1], os.environ)

    def _in_a_shell(self, line: str) -> tuple[int, str, str]:
        """Run a line that needs a real shell, or somebody who answers."""
        keyboard, terminal = pty.openpty()
        os.write(keyboard, self.typed.get(line, "").encode())
        try:
            ended = subprocess.run(
                ["bash", "-c", line], stdin=terminal, capture_output=True, text=True, timeout=120, check=False
            )
        finally:
            os.close(keyboard)
            os.close(terminal)
        return ended.returncode, ended.stdout, ended.stderr

    def watch(self, line: str) -> tuple[int, str, str]:
        """Run a line that goes on until Ctrl-C, and press that when it says so."""
        printed = self.home / "watched"
        printed.write_text("")
        words = [str(Path(word).expanduser()) for word in shlex.split(line)[1:]]
        process = command_server().start(words, os.environ, str(printed), str(printed))
        ends_at = time.monotonic() + _WATCHES_WITHIN_S
        while "Ctrl-C" not in printed.read_text(encoding="utf-8") and not process.has_ended(0.05):
            assert time.monotonic() < ends_at, printed.read_text(encoding="utf-8")
        process.send_signal(signal.SIGINT)
        return process.wait(), printed.read_text(encoding="utf-8"), ""

    def serve(self, line: str) -> None:
        """Start the server of a line, on a free port, and wait until it would answer."""
        self.server = Server(Path(os.environ["SMALLSIGHT_HOME"]), *shlex.split(line)[2:])
        http = self.server.http
        self.server.wait_until(lambda: http.get("/health/ready").status_code == 200)

    def stop_serving(self) -> None:
        """Stop the server, if one runs; it has to end well."""
        if self.server is not None:
            server, self.server = self.server, None
            assert server.stop() == 0, server.log.read_text()[-3000:]

    def run(self, program: str) -> tuple[int, str, str]:
        """Run a Python program, which finds the server where the documents say it is."""
        if self.server is not None:
            program = program.replace("http://127.0.0.1:8420", self.server.url)
        return run_command(program, os.environ)


@contextmanager
def reader(
    home: Path, prepared: Path, typed: Mapping[str, str], draw_text: Callable[[Path, str], None]
) -> Iterator[Person]:
    """Give the process the environment and the folder of somebody new, and take them back.

    ``prepared`` holds the networks that need not be prepared again.
    """
    for data in ("data", "first"):
        (home / data).mkdir()
        (home / data / "graphs").symlink_to(prepared)
    program = home / "bin" / "smallsight"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m smallsight "$@"\n')
    program.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch, running_hub() as hub:
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HOME", "SMALLSIGHT_CONFIG"):
            patch.delenv(name, raising=False)
        for name, value in {
            "HOME": str(home),
            "SMALLSIGHT_HOME": str(home / "data"),
            "HF_HUB_CACHE": str(home / "cache"),
            "HF_ENDPOINT": hub.url,
            "SMALLSIGHT_DESCRIBE__MAX_TOKENS": "40",  # random models find no end
            "SMALLSIGHT_INFERENCE__MAX_TOKENS": "40",
            "SMALLSIGHT_INDEX__OCR_MAX_SIDE_PX": "900",  # reading takes longest
            "COLUMNS": "200",
            "no_proxy": "127.0.0.1",
            "PATH": f"{program.parent}:{os.environ['PATH']}",
        }.items():
            patch.setenv(name, value)
        _draw_pictures(home, draw_text)
        patch.chdir(home / "Pictures")
        person = Person(home, typed)
        for line in (*_pulls(hub, home), *_EARLIER):
            code, _, err = person.type(line)
            assert code == 0, f"{line}\n{err}"
        yield person
        person.stop_serving()


def _pulls(hub: LocalHub, home: Path) -> list[str]:
    """Let the hub have random models under the names in the documents; return what fetches them."""
    own = make_checkpoint(home / "checkpoints" / "my-smolvlm", SHAPES[0])
    video = make_checkpoint(home / "hub" / "video", VIDEO_SHAPES[0])
    florence2 = write_tiny_florence2(
        home / "hub" / "florence2", TinyFlorence2("small", layers=(1, 1), positions=96)
    )
    moondream2 = write_tiny_moondream2(home / "hub" / "moondream2", MOONDREAM2[0])
    siglip = write_tiny_siglip(home / "hub" / "siglip")
    for repository, revision, folder in (
        ("HuggingFaceTB/SmolVLM-256M-Instruct", "main", own),
        ("HuggingFaceTB/SmolVLM2-500M-Video-Instruct", "main", video),
        ("florence-community/Florence-2-base", "main", florence2),
        ("vikhyatk/moondream2", "2025-01-09", moondream2),
        ("google/siglip-base-patch16-224", "main", siglip),
    ):
        hub.serve(repository, {path.name: path.read_bytes() for path in folder.iterdir()}, revision)
    names = ("SmolVLM-256M-Instruct", "SmolVLM2-500M-Video-Instruct", "Florence-2-base", "moondream2")
    return [f"smallsight models pull {name}" for name in names]


def _draw_pictures(home: Path, draw_text: Callable[[Path, str], None]) -> None:
    """Draw what the documents name."""
    pictures, memes = home / "Pictures", home / "Downloads" / "memes"
    for folder in (pictures, memes, home / "Scans", home / "cats"):
        folder.mkdir(parents=True)
    for number, names in {
        1: ("sticker.png", "2025/spring.png"),
        2: ("sign.jpg",),
        3: ("a.png", "b.png"),
        5: ("drawing.png",),
        7: ("tiger.jpg", "street.jpg"),
        8: ("cat.jpg", "cat.png", "kitten.png", "cats/holiday/cat on a chair.png"),
    }.items():
        for name in names:
            (pictures / name).parent.mkdir(parents=True, exist_ok=True)
            with Image.open(ROOT / "examples" / "stickers" / f"sticker_{number}.png") as image:
                image.convert("RGB").save(pictures / name)
    draw_text(memes / "coffee.png", "MONDAY: NEED COFFEE")
    draw_text(memes / "tired.png", "TIRED OF MONDAYS")
    draw_text(memes / "fine.png", "THIS IS FINE")
    (pictures / "clip.mp4").write_bytes(clip(30, fps=10))


# What happened before: some lines of the guide name these tags, and the twelfth edit.
_EARLIER = (
    "smallsight index ~/Pictures ~/Downloads/memes",
    "smallsight edit sticker.png --tag blurry",
    "smallsight edit kitten.png --tag kitty --tag cat",
    "smallsight edit --search folder:holiday --tag cats --yes",
    *("smallsight edit a.png --tag robot", "smallsight edit a.png --untag robot") * 4,
    "smallsight edit street.jpg --tag bell",
)

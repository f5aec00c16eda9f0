"""A real server process on this machine, and what its clients send."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil
from PIL import Image

from forked_commands import ForkedProcess, command_server

STARTS_WITHIN_S = 60


def printed_url(process: ForkedProcess | subprocess.Popen[str], log: Path) -> str:
    """Return the address that a server prints as a JSON object once it listens."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            break
    assert lines, log.read_text()
    url: str = json.loads("".join(lines))["url"]
    return url


class Server:
    """``smallsight serve`` on a free port, with a separate data folder.

    It is forked from a process that has imported the program; with a ``prefix`` it is a fresh one.
    """

    def __init__(self, home: Path, *arguments: str, prefix: Sequence[str] = (), **settings: str) -> None:
        self.home = home
        self.log = home / "server.log"
        home.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "SMALLSIGHT_HOME": str(home), "SMALLSIGHT_LOG_LEVEL": "info"}
        environment |= {f"SMALLSIGHT_{name.upper()}": value for name, value in settings.items()}
        serve = ["serve", "--port", "0", "--json", *arguments]
        self.log.write_text("")
        if prefix:
            with self.log.open("w") as log:
                self.process: ForkedProcess | subprocess.Popen[str] = subprocess.Popen(
                    [*prefix, sys.executable, "-m", "smallsight", *serve],
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        else:
            self.process = command_server().start(serve, environment, out=None, err=str(self.log))
        self.url = printed_url(self.process, self.log)
        self.http = httpx2.Client(base_url=self.url, timeout=60, trust_env=False)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def ask(self, **body: Any) -> httpx2.Response:
        body.setdefault("messages", [{"role": "user", "content": "hello"}])
        return self.http.post("/v1/chat/completions", json=body)

    def health(self) -> dict[str, Any]:
        return self.http.get("/health").json()

    def wait_until(self, condition: Any, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{self.health()}\n{self.log.read_text()[-3000:]}"
            time.sleep(0.05)

    def resident_bytes(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss

    def stop(self) -> int:
        self.http.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            self.process.communicate()


@contextlib.contextmanager
def running(home: Path, *arguments: str, prefix: Sequence[str] = (), **settings: str) -> Iterator[Server]:
    """Run a server for as long as the block lasts; it has to end well. ``prefix`` begins its command."""
    server = Server(home, *arguments, prefix=prefix, **settings)
    try:
        yield server
    finally:
        code = server.stop()
    assert code == 0, server.log.read_text()[-3000:]
    assert "Traceback" not in server.log.read_text()


def png(seed: int = 0, width: int = 60, height: int = 40) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def data_url(data: bytes | None = None, name: str = "") -> str:
    head = f"data:image/png;name={name};base64," if name else "data:image/png;base64,"
    return head + base64.b64encode(png() if data is None else data).decode()


def about(*urls: str, text: str = "What is this?") -> list[dict[str, Any]]:
    """Return a conversation about pictures."""
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]

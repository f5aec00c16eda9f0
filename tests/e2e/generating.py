"""A real generator process with a real receiver, for the tests of the meme-search protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from clocks import wait_until
from e2e.serving import png, printed_url
from forked_commands import command_server
from free_ports import free_port

RECEIVER = Path(__file__).with_name("generator_receiver.py")
FAST = {
    "retry_delays_s": "[0.05, 0.1, 0.2]",
    "test_delay_s": "0",
    "callback_pause_s": "0.05",
    "max_callback_pause_s": "0.2",
}


class Receiver:
    """The application's side; ``stop`` and ``start`` make it unreachable for a while."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "callbacks.log"
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(RECEIVER), str(self.port), str(self.log)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def answer_with(self, status: int) -> None:
        self.log.with_suffix(".status").write_text(str(status))

    def all(self) -> list[dict[str, Any]]:
        """Return what arrived, refused or not."""
        written = self.log.read_text() if self.log.exists() else ""
        whole, _, _ = written.rpartition("\n")  # the last line may still be being written
        return [json.loads(line) for line in whole.splitlines()]

    def of(self, image: int) -> list[dict[str, Any]]:
        """Return the data that was accepted about a picture, in the order of arrival."""
        sent = [one["body"]["data"] for one in self.all() if one["status"] < 300]
        return [data for data in sent if data["image_core_id"] == image]


def told(data: dict[str, Any]) -> int | str:
    """Return the status or the description in a callback."""
    return data["status"] if "status" in data else data["description"]


class Generator:
    """``smallsight generator`` with a data folder and pictures; it may be killed and restarted."""

    def __init__(self, folder: Path, app_port: int, **settings: str) -> None:
        self.home, self.pictures = folder / "home", folder / "memes"
        self.home.mkdir(parents=True, exist_ok=True)
        self.pictures.mkdir(exist_ok=True)
        self.log = folder / "generator.log"
        self.environment = {
            **os.environ,
            "SMALLSIGHT_HOME": str(self.home),
            "SMALLSIGHT_LOG_LEVEL": "info",
            "GEN_URL": f"http://127.0.0.1:{app_port}",
        }
        for name, value in (FAST | settings).items():
            self.environment[f"SMALLSIGHT_GENERATOR__{name.upper()}"] = value
        self.start()

    def start(self) -> None:
        command = ["generator", "--port", "0", "--json", "--pictures", str(self.pictures)]
        self.process = command_server().start(command, self.environment, out=None, err=str(self.log))
        self.url = printed_url(self.process, self.log)
        self.http = httpx2.Client(base_url=self.url, timeout=60, trust_env=False)

    def draw(self, name: str, seed: int = 0) -> str:
        path = self.pictures / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(seed))
        return name

    def add(self, image: int, path: str, **other: Any) -> httpx2.Response:
        return self.http.post("/add_job", json=job_body(image, path, **other))

    def num_jobs(self) -> int:
        return self.http.get("/check_queue").json()["queue_length"]

    def undelivered(self) -> list[dict[str, Any]]:
        return self.http.get("/undelivered").json()["undelivered"]

    def kill(self) -> None:
        self.http.close()
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        self.http.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            self.process.communicate()


def job_body(image: int, path: str, **other: Any) -> dict[str, Any]:
    """Return the body that meme-search sends for a picture."""
    attempt = 100 + image
    return {
        "image_core_id": image,
        "image_path": path,
        "model": "test",
        "attempt_id": attempt,
        "callback_token": f"token-{attempt}",
        **other,
    }


def settles(condition: Callable[[], object], generator: Generator) -> None:
    wait_until(condition, lambda: generator.log.read_text()[-3000:])

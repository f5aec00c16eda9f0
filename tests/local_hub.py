"""A model hub on this machine, in a process of its own, that can be told to misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HUB_SERVER = Path(__file__).parent / "unit" / "catalog" / "hub_server.py"


@dataclass(frozen=True)
class LocalHub:
    """A running hub server: its address, and how to tell it what to serve and what to get wrong."""

    url: str

    def serve(self, name: str, files: dict[str, bytes], revision: str = "main") -> str:
        """Offer a repository and return the commit it is at."""
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        encoded = {path: base64.b64encode(content).decode() for path, content in files.items()}
        self._post("_repository", {"name": name, "commit": commit, "revisions": [revision], "files": encoded})
        return commit

    def misbehave(self, **trouble: Any) -> None:
        """Set everything that goes wrong from now on; without arguments nothing does."""
        self._post("_trouble", trouble)

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests so far, oldest first."""
        with urllib.request.urlopen(f"{self.url}/_log", timeout=10) as answer:
            return json.loads(answer.read())

    def downloads(self, path: str) -> list[dict[str, Any]]:
        """Return the requests for the bytes of a file."""
        return [r for r in self.requests() if r["method"] == "GET" and r["path"].endswith(f"/{path}")]

    def _post(self, what: str, data: dict[str, Any]) -> None:
        request = urllib.request.Request(f"{self.url}/{what}", json.dumps(data).encode(), method="POST")
        urllib.request.urlopen(request, timeout=10).close()


@contextmanager
def running_hub() -> Iterator[LocalHub]:
    """Run a hub server for as long as the block lasts."""
    with subprocess.Popen([sys.executable, str(HUB_SERVER)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield LocalHub(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.terminate()

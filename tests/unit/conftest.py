"""Parts that the unit tests of several packages share: a small model, and a model hub of one's own."""

from __future__ import annotations

import base64
import gc
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

import numpy as np
import pytest
from safetensors.numpy import save

from tiny_smolvlm import SHAPES, make_checkpoint

HUB_SERVER = Path(__file__).parent / "catalog" / "hub_server.py"


def small_model_files(num_values: int = 300_000, model_type: str = "idefics3") -> dict[str, bytes]:
    """Return a checkpoint that is whole but meaningless, with things a pull must leave alone."""
    weights = save({"a": np.arange(num_values, dtype=np.float32), "b": np.ones((2, 3), np.float16)})
    return {
        "config.json": json.dumps({"model_type": model_type, "hidden_size": 8}).encode(),
        "tokenizer.json": b'{"model": {}}',
        "model.safetensors": weights,
        "pytorch_model.bin": b"never fetched",
        "modeling.py": b"never fetched",
        "onnx/model.safetensors": b"never fetched",
        "README.md": b"never fetched",
    }


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


@pytest.fixture
def hub() -> Iterator[LocalHub]:
    """A hub server of this test's own."""
    with running_hub() as server:
        yield server


@pytest.fixture
def other_hub() -> Iterator[LocalHub]:
    """A second server, on another address."""
    with running_hub() as server:
        yield server


@contextmanager
def running_hub() -> Iterator[LocalHub]:
    """Run a hub server for as long as the block lasts."""
    with subprocess.Popen([sys.executable, str(HUB_SERVER)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield LocalHub(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.terminate()


@pytest.fixture
def model_files() -> dict[str, bytes]:
    """The files of a small SmolVLM-like repository."""
    return small_model_files()


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SmolVLM checkpoint that can be loaded; tests copy it."""
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "my-model", SHAPES[0])


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """A small, whole checkpoint directory in Hugging Face layout."""
    directory = tmp_path / "my-model"
    directory.mkdir()
    for name, content in small_model_files(num_values=100).items():
        if "/" not in name and name not in {"pytorch_model.bin", "modeling.py"}:
            (directory / name).write_bytes(content)
    return directory


@pytest.fixture
def old_objects_aside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep what the process had before out of the collections at each loading and unloading.

    A process that has imported every test visits 600,000 objects in each of them, which takes half a second;
    all of a test's own objects are still visited or set aside as ever.
    """
    unfreeze = gc.unfreeze
    gc.freeze()
    monkeypatch.setattr(gc, "unfreeze", lambda: None)
    yield
    monkeypatch.undo()
    unfreeze()

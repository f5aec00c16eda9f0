"""Parts that the unit tests of several packages share: a small model, and a model hub of one's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from local_hub import LocalHub, running_hub
from tiny_smolvlm import SHAPES, make_checkpoint


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

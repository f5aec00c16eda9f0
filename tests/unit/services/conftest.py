"""Places for tests of description runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lasting_decoders import lasting_decoders
from runner_place import Place
from tiny_bert import write_tiny_bert


@pytest.fixture(scope="module", autouse=True)
def decoders_last() -> Iterator[None]:
    with lasting_decoders():
        yield


@pytest.fixture(scope="module")
def embedder_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("bert") / "tiny")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place whose text embedder is missing, which no description needs."""
    with ExitStack() as stack:
        yield Place(tmp_path / "home", tmp_path / "pictures", tmp_path / "missing", stack)


@pytest.fixture
def embedding_place(tmp_path: Path, embedder_dir: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path / "home", tmp_path / "pictures", embedder_dir, stack)

"""The key of a network tells checkpoints of one shape apart: answers are remembered under it."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsight.engine.network_key import network_key


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    paths = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def test_other_weights_of_the_same_shape_are_another_network(files: tuple[Path, ...], tmp_path: Path):
    before = network_key(files, None, "torch", "int8")
    assert network_key(files, tmp_path, "torch", "int8") == before
    files[1].write_bytes(b"two.safetensorz")
    assert network_key(files, None, "torch", "int8") != before


def test_what_is_done_with_the_weights_counts_and_so_does_their_order(files: tuple[Path, ...]):
    keys = {
        network_key(files, None, "torch", "int8"),
        network_key(files, None, "torch", "nf4"),
        network_key(files, None, "reference", "int8"),
        network_key(files[::-1], None, "torch", "int8"),
    }
    assert len(keys) == 4

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smallsight.errors import BrokenCheckpointError
from smallsight.families.minilm.config import MiniLMConfig, read_config
from smallsight.families.minilm.weights import NOT_USED, MiniLMWeights, ScaleShift, read_weights
from tiny_bert import Shape, change_tensors, random_tensors, write_tiny_bert


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_bert(tmp_path)


def read(folder: Path) -> MiniLMWeights:
    return read_weights(folder / "model.safetensors", read_config(folder))


def arrays(weights: MiniLMWeights) -> list[np.ndarray]:
    """Every array in the network's own structure."""
    linears: list[ScaleShift] = [weights.norm]
    for layer in weights.layers:
        linears.extend(vars(layer).values())
    tables = [weights.words, weights.positions, weights.token_types]
    return tables + [array for linear in linears for array in (linear.weight, linear.bias)]


def test_every_tensor_is_used_exactly_once_and_every_place_is_filled(folder: Path):
    in_file = [tensor.tobytes() for name, tensor in random_tensors(Shape()).items() if name not in NOT_USED]
    in_network = [array.tobytes() for array in arrays(read(folder))]
    assert sorted(in_network) == sorted(in_file)
    assert len(set(in_network)) == len(in_network), "one tensor filled two places"


@pytest.mark.parametrize("name", [name for name in random_tensors(Shape()) if name not in NOT_USED])
def test_any_missing_tensor_is_named(folder: Path, name: str):
    change_tensors(folder, {name: None})
    with pytest.raises(BrokenCheckpointError, match=f"no tensor {name}"):
        read(folder)


def test_what_the_network_does_not_use_may_be_missing_or_there(folder: Path):
    change_tensors(folder, dict.fromkeys(("pooler.dense.weight", "pooler.dense.bias")))
    change_tensors(folder, {"embeddings.position_ids": np.arange(40)[None]})
    assert len(read(folder).layers) == 2


def test_an_unknown_tensor_is_refused(folder: Path):
    change_tensors(folder, {"encoder.layer.2.output.dense.bias": np.zeros(32, np.float32)})
    with pytest.raises(BrokenCheckpointError, match=r"1 unknown tensors, such as encoder\.layer\.2"):
        read(folder)


def test_a_config_of_another_size_is_refused(folder: Path):
    config = MiniLMConfig(**{**vars(read_config(folder)), "hidden_size": 64})
    with pytest.raises(BrokenCheckpointError, match="expected"):
        read_weights(folder / "model.safetensors", config)

"""A folder in Hugging Face layout is recognised, and each way it can be broken has its sentence."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import save

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.checkpoint import mark_of_files, open_checkpoint
from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError, UnknownModelError

MODEL_TYPES = load_catalog().model_types


def open_it(directory):
    return open_checkpoint(directory, MODEL_TYPES)


def make_sharded(directory):
    """Replace the weights by two parts and an index."""
    (directory / "model.safetensors").unlink()
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    for name, file_name in parts.items():
        (directory / file_name).write_bytes(save({name: np.ones((2, 2), np.float16)}))
    write_index(directory, parts)
    return parts


def write_index(directory, weight_map):
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize(
    ("model_type", "family"),
    [
        ("idefics3", "smolvlm"),
        ("smolvlm", "smolvlm"),
        ("florence2", "florence2"),
        ("moondream1", "moondream2"),
    ],
)
def test_the_family_is_told_by_the_model_type(model_dir, model_type, family):
    (model_dir / "config.json").write_text(json.dumps({"model_type": model_type}))
    assert open_it(model_dir).family == family


def test_a_whole_checkpoint_says_what_it_holds(model_dir):
    checkpoint = open_it(model_dir)
    assert checkpoint.num_parameters == 106
    assert checkpoint.weights_bytes == 100 * 4 + 6 * 2
    assert checkpoint.config["hidden_size"] == 8


def test_parts_with_an_index_are_one_checkpoint(model_dir):
    parts = make_sharded(model_dir)
    checkpoint = open_it(model_dir)
    assert [path.name for path in checkpoint.weight_files] == sorted(parts.values())
    assert {tensor.name for tensor in checkpoint.tensors} == {"a", "b"}


def test_one_safetensors_file_of_another_name_will_do(model_dir):
    (model_dir / "model.safetensors").rename(model_dir / "weights.safetensors")
    assert open_it(model_dir).num_parameters == 106


@pytest.mark.parametrize("model_type", ["bert", None, ["idefics3"], {}])
def test_another_kind_of_model_is_refused(model_dir, model_type):
    (model_dir / "config.json").write_text(json.dumps({"model_type": model_type}))
    with pytest.raises(ModelNotRunnableError, match="cannot run") as failed:
        open_it(model_dir)
    assert "smolvlm" in failed.value.hint


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UnknownModelError, match="no folder"):
        open_it(tmp_path / "absent")


def test_a_folder_without_a_configuration(model_dir):
    (model_dir / "config.json").unlink()
    with pytest.raises(BrokenCheckpointError, match=r"has no config\.json"):
        open_it(model_dir)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_configuration_that_is_not_json(model_dir, content):
    (model_dir / "config.json").write_bytes(content)
    with pytest.raises(BrokenCheckpointError, match=r"config\.json"):
        open_it(model_dir)


def test_pickled_weights_are_refused_with_the_reason(model_dir):
    (model_dir / "model.safetensors").rename(model_dir / "pytorch_model.bin")
    with pytest.raises(BrokenCheckpointError, match="which can run code"):
        open_it(model_dir)


def test_no_weights_at_all(model_dir):
    (model_dir / "model.safetensors").unlink()
    with pytest.raises(BrokenCheckpointError, match="has no weights"):
        open_it(model_dir)


def test_empty_weights(model_dir):
    (model_dir / "model.safetensors").write_bytes(save({}))
    with pytest.raises(BrokenCheckpointError, match="are empty"):
        open_it(model_dir)


def test_truncated_weights(model_dir):
    path = model_dir / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BrokenCheckpointError, match="not a usable safetensors file"):
        open_it(model_dir)


def test_several_files_without_an_index(model_dir):
    make_sharded(model_dir)
    (model_dir / "model.safetensors.index.json").unlink()
    with pytest.raises(BrokenCheckpointError, match="has 2 safetensors files and no"):
        open_it(model_dir)


def test_a_missing_part(model_dir):
    parts = make_sharded(model_dir)
    (model_dir / parts["b"]).unlink()
    with pytest.raises(BrokenCheckpointError, match="lacks 1 of the 2 weight files"):
        open_it(model_dir)


def test_a_part_of_another_version(model_dir):
    parts = make_sharded(model_dir)
    (model_dir / parts["b"]).write_bytes(save({"c": np.ones(1, np.float16)}))
    with pytest.raises(BrokenCheckpointError, match="lacks the tensor 'b'"):
        open_it(model_dir)


def test_the_same_tensor_twice(model_dir):
    parts = make_sharded(model_dir)
    shutil.copy(model_dir / parts["a"], model_dir / parts["b"])
    write_index(model_dir, {"a": parts["a"]} | {"z": parts["b"]})
    (model_dir / parts["b"]).write_bytes(save({"a": np.ones(1, np.float16), "z": np.ones(1, np.float16)}))
    with pytest.raises(BrokenCheckpointError, match="in two weight files"):
        open_it(model_dir)


@pytest.mark.parametrize(
    "weight_map", [None, {}, {"a": "../x.safetensors"}, {"a": "/x.safetensors"}, {"a": "x.bin"}, {"a": 3}]
)
def test_an_index_that_points_elsewhere(model_dir, weight_map):
    make_sharded(model_dir)
    write_index(model_dir, weight_map)
    with pytest.raises(BrokenCheckpointError, match="index"):
        open_it(model_dir)


def test_the_mark_of_a_folder_notices_a_replacement_of_the_same_size_and_time(model_dir):
    config = model_dir / "config.json"
    before, mark = config.stat(), mark_of_files(model_dir)
    other = model_dir.parent / "other.json"
    other.write_bytes(config.read_bytes())
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(config)
    assert mark_of_files(model_dir) != mark
    mark = mark_of_files(model_dir)
    config.write_bytes(config.read_bytes()[::-1])
    os.utime(config, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert mark_of_files(model_dir) != mark
    assert mark_of_files(model_dir / "nowhere") == ""

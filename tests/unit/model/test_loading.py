"""What a name or folder means to ``smallsight.load``, and the sentence for each that cannot be loaded."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import smallsight
from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.checkpoint import open_checkpoint
from smallsight.catalog.entry import Precision
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.errors import (
    ArgumentError,
    BrokenCheckpointError,
    ModelNotRunnableError,
    ModelUnavailableError,
    OutOfResourcesError,
    SmallsightError,
    UnknownModelError,
)
from smallsight.inventory import names
from smallsight.inventory.names import WantedModel, find_model, require_memory
from smallsight.model.loading import load
from smallsight.settings import Settings

GIB = 1024**3


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def find(settings: Settings, tmp_path: Path):
    def find_one(name: str | Path, precision: str = "auto") -> WantedModel:
        return find_model(name, precision, settings, cache_dir=tmp_path / "cache")

    return find_one


def register(settings: Settings, name: str, directory: Path) -> None:
    RegisteredModels(settings.models_path).add(RegisteredModel(name, directory, "smolvlm"))


def test_the_test_model_needs_nothing(settings: Settings):
    for name in ("test", "TEST", " test "):
        with load(name, settings=settings) as model:
            assert model.name == "test"


def test_load_is_the_one_of_the_package():
    assert smallsight.load is load
    with pytest.raises(AttributeError, match="unload"):
        smallsight.unload  # noqa: B018


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("SmolVLM-256M-Instruct", ModelUnavailableError, "models pull SmolVLM-256M-Instruct`"),
        ("SmolVLM-500M-Instruct-int8", ModelUnavailableError, "models pull SmolVLM-500M-Instruct-int8`"),
        ("moondream2-int8", ModelUnavailableError, "models pull moondream2-int8`"),
        ("SmolVLM-256", UnknownModelError, "did you mean SmolVLM-256M-Instruct"),
        ("./nowhere", BrokenCheckpointError, "There is no folder nowhere"),
        ("~nobody-of-this-name/model", BrokenCheckpointError, "There is no folder"),
    ],
)
def test_a_name_that_cannot_be_loaded_has_its_sentence(find, name, error, words):
    with pytest.raises(error, match=words):
        find(name)


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        ({"precision": "int3"}, ArgumentError, "'int3'.*auto, fp32"),
        (
            {"engine": "torch"},
            ArgumentError,
            r"^Unknown engine 'torch'\. hint: use auto, openvino or remote\.$",
        ),
        ({"device": "cuda"}, ArgumentError, r"^Unknown device 'cuda'\. hint: use auto or cpu\.$"),
    ],
)
def test_ways_of_loading_that_there_are_not(settings: Settings, wanted, error, words):
    with pytest.raises(error, match=words):
        load("test", settings=settings, **wanted)


def test_a_folder_is_loaded_by_path_and_by_text(find, model_dir: Path):
    found = find(model_dir)
    assert found == find(str(model_dir))
    assert (found.name, found.family, found.directory) == ("my-model", "smolvlm", model_dir)
    assert found.precision is Precision.BF16
    assert find(model_dir, "int8").precision is Precision.INT8
    assert find(model_dir, "fp32").needed_bytes == 2 * found.needed_bytes > 0


def test_a_folder_is_read_once_and_again_when_a_file_changes(find, model_dir: Path, monkeypatch):
    read: list[Path] = []

    def counting(directory: Path, model_types):
        read.append(directory)
        return open_checkpoint(directory, model_types)

    monkeypatch.setattr(names, "open_checkpoint", counting)
    assert find(model_dir) == find(model_dir)
    assert read == [model_dir]
    (model_dir / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(BrokenCheckpointError):
        find(model_dir)
    assert read == [model_dir, model_dir]


def test_a_registered_folder_has_a_name(find, settings: Settings, model_dir: Path):
    register(settings, "Mine", model_dir)
    assert (find("mine").name, find("mine").directory) == ("Mine", model_dir)


def test_a_folder_registered_for_an_entry_supplies_it_and_its_variants(
    find, settings: Settings, model_dir: Path
):
    register(settings, "SmolVLM-256M-Instruct", model_dir)
    base, variant = find("SmolVLM-256M-Instruct"), find("smolvlm-256m-instruct-INT8")
    assert base.directory == variant.directory == model_dir
    assert (base.precision, variant.precision) == (Precision.BF16, Precision.INT8)
    assert variant.needed_bytes < base.needed_bytes
    assert find("SmolVLM-256M-Instruct", "int8").needed_bytes == variant.needed_bytes
    assert find("SmolVLM-256M-Instruct-int8", "int8") == variant
    with pytest.raises(ArgumentError, match=r"is loaded in int8, not in bf16.*SmolVLM-256M-Instruct "):
        find("SmolVLM-256M-Instruct-int8", "bf16")


def test_a_folder_of_a_family_that_does_not_run_yet(settings: Settings, model_dir: Path):
    (model_dir / "config.json").write_text(json.dumps({"model_type": "newer"}))
    catalog = replace(load_catalog(), model_types={"newer": "another"})
    with pytest.raises(ModelNotRunnableError, match="holds a another model"):
        find_model(model_dir, "auto", settings, catalog=catalog)


def test_a_folder_that_is_gone_since_it_was_registered(find, settings: Settings, model_dir: Path):
    register(settings, "mine", model_dir)
    shutil.rmtree(model_dir)
    with pytest.raises(BrokenCheckpointError, match="There is no folder"):
        find("mine")


def test_too_little_memory_is_said_with_both_figures():
    wanted = WantedModel("large", "smolvlm", Path("large"), Precision.BF16, 3 * GIB)
    require_memory(wanted, 3 * GIB, 3 * GIB)
    with pytest.raises(OutOfResourcesError, match=r"large in bf16 needs about 3\.0 GiB .* has 2\.0 GiB"):
        require_memory(wanted, 2 * GIB, 2 * GIB)
    with pytest.raises(OutOfResourcesError, match=r"needs about 3\.0 GiB of memory, and 1\.0 GiB are free"):
        require_memory(wanted, 4 * GIB, GIB)


def test_a_model_larger_than_the_machine_is_refused_before_it_is_read(settings: Settings, tmp_path: Path):
    model_dir = tmp_path / "huge"
    model_dir.mkdir()
    (model_dir / "config.json").write_text('{"model_type": "idefics3"}')
    num_bytes = 2**43
    header = json.dumps({"a": {"dtype": "U8", "shape": [num_bytes], "data_offsets": [0, num_bytes]}}).encode()
    with (model_dir / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        try:
            file.truncate(8 + len(header) + num_bytes)  # a hole: nothing is written
        except OSError:
            pytest.skip("this file system has no files of 8 TiB")
    with pytest.raises(OutOfResourcesError, match="huge in int8 needs about 8192"):
        load(model_dir, precision="int8", settings=settings)


@pytest.mark.parametrize("name", ["", " ", "a/b/c", "\0", "x" * 5000, "http:test", "../.."])
def test_any_other_name_is_an_error_of_ours(find, name: str):
    with pytest.raises(SmallsightError):
        find(name)

"""What a name or folder means, in which order it is looked up, and the sentence for each that is nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Precision
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.errors import (
    ArgumentError,
    BrokenCheckpointError,
    ModelNotRunnableError,
    ModelUnavailableError,
    SmallsightError,
    UnknownModelError,
)
from smallsight.inventory.known_model import KnownModel
from smallsight.inventory.names import FOR_CLIENTS, FOR_LOADING, HERE, KnownRemote, Names, Origin
from smallsight.remote_settings import RemoteSettings
from smallsight.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return Names(cache_dir=tmp_path / "cache")


@pytest.fixture
def find(names: Names, settings: Settings):
    def find_one(name: str | Path) -> KnownModel:
        found = names.resolve(name, FOR_LOADING, settings)
        assert isinstance(found, KnownModel)
        return found

    return find_one


def register(settings: Settings, name: str, directory: Path) -> None:
    RegisteredModels(settings.models_path).add(RegisteredModel(name, directory, "smolvlm"))


def test_every_origin_comes_before_the_next_one(tmp_path: Path, model_dir: Path, monkeypatch):
    monkeypatch.chdir(model_dir.parent)
    name = model_dir.name
    remote = RemoteSettings(base_url="http://127.0.0.1:1/v1")
    settings = Settings(home=tmp_path / "home", active_model=str(model_dir), remotes={name: remote})
    entry = replace(load_catalog().entries[0], name=name)
    catalog = replace(load_catalog(), entries=(entry,))
    register(settings, name.upper(), model_dir)
    names = Names(catalog=catalog)
    expected = {
        Origin.REMOTE: KnownRemote(name, remote),
        Origin.CATALOGUE: entry,
        Origin.REGISTERED: RegisteredModel(name.upper(), model_dir, "smolvlm"),
        Origin.ACTIVE: model_dir,
        Origin.FOLDER: Path(name),
    }
    assert list(expected) == list(Origin)
    for index, meaning in enumerate(expected.values()):
        assert names.which(name, frozenset(list(Origin)[index:]), settings) == meaning


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("SmolVLM-256M-Instruct", ModelUnavailableError, "models pull SmolVLM-256M-Instruct`"),
        ("SmolVLM-500M-Instruct-int8", ModelUnavailableError, "models pull SmolVLM-500M-Instruct-int8`"),
        ("moondream2-int8", ModelUnavailableError, "models pull moondream2-int8`"),
        ("SmolVLM-256", UnknownModelError, "did you mean SmolVLM-256M-Instruct"),
        ("./nowhere", UnknownModelError, "No such folder: nowhere"),
        ("~nobody-of-this-name/model", UnknownModelError, "No such folder"),
    ],
)
def test_a_name_that_cannot_be_loaded_has_its_sentence(find, name, error, words):
    with pytest.raises(error, match=words):
        find(name)


def test_a_folder_is_found_by_path_and_by_text(find, model_dir: Path):
    found = find(model_dir)
    assert found == find(str(model_dir))
    assert (found.name, found.family, found.directory) == ("my-model", "smolvlm", model_dir)
    assert (found.precision(), found.precision("int8")) == (Precision.BF16, Precision.INT8)
    with pytest.raises(ArgumentError, match=r"'int3'.*auto, fp32"):
        found.precision("int3")


def test_a_registered_folder_has_a_name(find, settings: Settings, model_dir: Path):
    register(settings, "Mine", model_dir)
    assert (find("mine").name, find("mine").directory) == ("Mine", model_dir)


def test_a_folder_registered_for_an_entry_supplies_it_and_its_variants(
    find, settings: Settings, model_dir: Path
):
    register(settings, "SmolVLM-256M-Instruct", model_dir)
    base, variant = find("SmolVLM-256M-Instruct"), find("smolvlm-256m-instruct-INT8")
    assert base.directory == variant.directory == model_dir
    assert (base.precision(), variant.precision()) == (Precision.BF16, Precision.INT8)
    assert variant.precision("int8") is base.precision("int8") is Precision.INT8
    with pytest.raises(
        ArgumentError, match=r"can only be loaded in int8, not in bf16.*SmolVLM-256M-Instruct "
    ):
        variant.precision("bf16")


def test_a_folder_of_a_family_that_does_not_run_yet(settings: Settings, model_dir: Path):
    (model_dir / "config.json").write_text(json.dumps({"model_type": "newer"}))
    catalog = replace(load_catalog(), model_types={"newer": "another"})
    with pytest.raises(ModelNotRunnableError, match="holds a another model"):
        Names(catalog=catalog).resolve(model_dir, FOR_LOADING, settings)


def test_a_folder_that_is_gone_since_it_was_registered(find, settings: Settings, model_dir: Path):
    register(settings, "mine", model_dir)
    shutil.rmtree(model_dir)
    with pytest.raises(UnknownModelError, match="There is no folder"):
        find("mine")


@pytest.mark.parametrize("name", ["", " ", "a/b/c", "\0", "x" * 5000, "http:test", "../.."])
def test_any_other_name_is_an_error_of_ours(find, name: str):
    with pytest.raises(SmallsightError):
        find(name)


def test_a_name_is_looked_up_once_while_nothing_changes(names: Names, settings: Settings, model_dir: Path):
    register(settings, "mine", model_dir)
    first = names.resolve("mine", HERE, settings)
    assert names.resolve("mine", HERE, settings) is first
    (model_dir / "config.json").touch()
    second = names.resolve("mine", HERE, settings)
    assert isinstance(first, KnownModel)
    assert isinstance(second, KnownModel)
    assert first.files_mark != second.files_mark
    (model_dir / "model.safetensors").unlink()
    with pytest.raises(BrokenCheckpointError, match="no weights"):
        names.resolve("mine", HERE, settings)


def test_files_that_come_before_the_known_ones_are_seen(names: Names, settings: Settings, tmp_path: Path):
    shipped = names.resolve("Smallsight-tiny", HERE, settings)
    assert isinstance(shipped, KnownModel)
    assert shipped.directory is not None
    own = tmp_path / "own"
    own.mkdir()
    register(settings, "Smallsight-tiny", own)
    assert names.resolve("Smallsight-tiny", HERE, settings) == shipped  # nothing is in there yet
    for file in shipped.directory.iterdir():
        shutil.copy(file, own)
    found = names.resolve("Smallsight-tiny", HERE, settings)
    assert isinstance(found, KnownModel)
    assert found.directory == own
    RegisteredModels(settings.models_path).forget("Smallsight-tiny")
    assert names.resolve("Smallsight-tiny", HERE, settings) == shipped


def test_changed_settings_are_seen(tmp_path: Path):
    names = Names()
    before = Settings(home=tmp_path / "home")
    after = Settings(
        home=tmp_path / "home", remotes={"Test": RemoteSettings(base_url="http://127.0.0.1:1/v1")}
    )
    assert isinstance(names.resolve("test", FOR_CLIENTS, before), KnownModel)
    assert names.resolve("test", FOR_CLIENTS, after).name == "Test"
    assert isinstance(names.resolve("test", FOR_CLIENTS - {Origin.REMOTE}, after), KnownModel)


def test_another_commit_in_the_cache_is_seen(
    names: Names, settings: Settings, model_dir: Path, tmp_path: Path
):
    entry = load_catalog().find("SmolVLM-256M-Instruct")
    assert entry.repository is not None
    repository = tmp_path / "cache" / f"models--{entry.repository.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    found = []
    for commit in ("a" * 40, "b" * 40):
        shutil.copytree(model_dir, repository / "snapshots" / commit)
        if found:  # the other program has written the files, and not yet which commit they are
            assert names.resolve(entry.name, HERE, settings) is found[0]
        (repository / "refs" / entry.revision).write_text(commit)
        found.append(names.resolve(entry.name, HERE, settings))
    assert [one.directory.name for one in found if isinstance(one, KnownModel) and one.directory] == [
        "a" * 40,
        "b" * 40,
    ]

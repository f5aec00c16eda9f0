"""Names from clients: found among known ones, and never taken for a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsight.catalog.registered import RegisteredModel, RegisteredModels, RegisteredVariant
from smallsight.errors import (
    BadRequestError,
    BrokenCheckpointError,
    ModelNotRunnableError,
    UnknownModelError,
)
from smallsight.inventory.served_models import ServedModels
from smallsight.settings import Settings


def models(home: Path, **settings: object) -> ServedModels:
    fixed = Settings(home=home, **settings)
    return ServedModels(lambda: fixed)


@pytest.fixture
def home(tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    RegisteredModels(tmp_path / "models.json").add(RegisteredModel("mine", model_dir, "smolvlm"))
    return tmp_path


def test_known_names_in_any_case(home: Path):
    assert models(home).find("TEST").name == "test"
    assert models(home).find("Mine").source == "mine"


@pytest.mark.parametrize(
    "name",
    ["/", "..", ".", "./my-model", "my-model", "~", "/etc/passwd", "test/../mine", "mine\0", "x" * 300],
)
def test_a_path_is_no_name(home: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(home)
    with pytest.raises(UnknownModelError):
        models(home).find(name)


def test_the_operator_may_name_a_folder(home: Path, model_dir: Path):
    served = models(home, active_model=str(model_dir))
    for name in (None, "", "my-model", str(model_dir)):
        assert (served.find(name).name, served.find(name).source) == ("my-model", model_dir)
    assert next(one.name for one in served.list()) == "my-model"


def test_no_name_and_no_active_model(home: Path):
    with pytest.raises(BadRequestError) as caught:
        models(home).find(None)
    assert caught.value.param == "model"


def test_a_model_without_files_is_not_found(home: Path):
    with pytest.raises(UnknownModelError, match="not on this machine"):
        models(home).find("SmolVLM-256M-Instruct")
    with pytest.raises(UnknownModelError):
        models(home).get("HuggingFaceTB/SmolVLM-256M-Instruct")


def test_values_of_one_model_and_of_all(home: Path):
    own = {"memory": {"required_gb": 2, "max_memory_gb": 3}, "inference": {"max_tokens": 7, "dtype": "int8"}}
    served = models(home, models={"MINE": own}, inference={"temperature": 0.5, "max_tokens": 9})
    mine, test = served.find("mine"), served.find("test")
    assert (mine.needed_bytes, mine.max_bytes) == (2 * 1024**3, 3 * 1024**3)
    assert (mine.max_tokens, mine.precision, mine.temperature) == (7, "int8", 0.5)
    assert (test.max_tokens, test.precision, test.max_bytes) == (9, "auto", None)


def test_the_programs_own_work_uses_the_models_engine_and_device_but_no_settings_of_answers(home: Path):
    own = {"engine": "torch", "device": "cuda:1", "inference": {"max_tokens": 7, "dtype": "int8"}}
    work = models(home, models={"mine": own}).find_for_work("mine", "auto")
    assert (work.engine, work.device) == ("torch", "cuda:1")
    assert (work.max_tokens, work.precision) == (None, "auto")


def test_what_can_be_asked_is_listed(home: Path, model_dir: Path):
    assert [one.name for one in models(home).list()] == ["Smallsight-tiny", "mine"]
    assert models(home).get("mine").created_s > 0
    (model_dir / "model.safetensors").unlink()
    assert [one.name for one in models(home).list()] == ["Smallsight-tiny"]
    with pytest.raises(BrokenCheckpointError):
        models(home).find("mine")


def test_a_variant_of_the_users_is_served_until_its_base_is_gone(home: Path, model_dir: Path):
    registered = RegisteredModels(home / "models.json")
    registered.add_variant(RegisteredVariant("mine-small", "mine", "int4; text=nf4"))
    served = models(home)
    found = served.find("MINE-small")
    assert (found.name, found.source, found.scheme) == ("mine-small", "mine-small", "int4; text=nf4")
    registered.add_variant(RegisteredVariant("mine-large", "mine", "int8"))
    assert 0 < served.needed_bytes(found) < served.needed_bytes(served.find("mine-large"))
    assert "mine-small" in {one.name for one in served.list()}

    registered.add_variant(RegisteredVariant("mine-small", "mine", "int8"))
    assert served.find("mine-small").load_key != found.load_key

    registered.forget("mine")
    assert "mine-small" not in {one.name for one in served.list()}
    with pytest.raises(UnknownModelError, match="mine-small is a variant of mine, which is no longer here"):
        served.find("mine-small")


@pytest.mark.parametrize("scheme", ["int3", "int4; text=int5"])
def test_a_scheme_that_this_release_cannot_read_is_a_sentence(home: Path, scheme: str):
    RegisteredModels(home / "models.json").add_variant(RegisteredVariant("odd", "mine", scheme))
    with pytest.raises(ModelNotRunnableError, match="The scheme of odd cannot be used: Unknown"):
        models(home).find("odd")


@pytest.mark.parametrize(
    ("active", "listed"),
    [
        ("mine", ["mine", "Smallsight-tiny"]),
        ("TEST", ["test", "Smallsight-tiny", "mine"]),
        ("SmolVLM-256M-Instruct", ["Smallsight-tiny", "mine"]),
    ],
)
def test_the_active_model_is_listed_first_and_test_only_if_it_is_active(
    home: Path, active: str, listed: list[str]
):
    served = models(home, active_model=active)
    assert [one.name for one in served.list()] == listed
    assert served.get("test").name == "test"


def test_the_list_says_how_long_a_context_is(home: Path):
    assert {one.name: one.context_tokens for one in models(home).list()} == {
        "Smallsight-tiny": 2048,
        "mine": None,  # its config.json says nothing
    }
    assert models(home).get("test").context_tokens is None


def test_the_list_is_kept_until_something_on_the_disk_changes(home: Path, model_dir: Path):
    served = models(home)
    assert served.kept_list() is None
    assert served.list() is served.list() is served.kept_list()

    RegisteredModels(home / "models.json").add_variant(RegisteredVariant("mine-small", "mine", "int8"))
    assert served.kept_list() is None
    assert [one.name for one in served.list()] == ["Smallsight-tiny", "mine", "mine-small"]

    weights = model_dir / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert served.kept_list() is None
    assert [one.name for one in served.list()] == ["Smallsight-tiny"]


def test_a_downloaded_model_appears_in_the_list(
    home: Path, tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    served = models(home)
    assert [one.name for one in served.list()] == ["Smallsight-tiny", "mine"]
    folder = tmp_path / "cache" / "models--HuggingFaceTB--SmolVLM-256M-Instruct"
    commit = "a" * 40
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    served.list()
    for file in model_dir.iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())
    assert "SmolVLM-256M-Instruct" in {one.name for one in served.list()}
    (snapshot / "model.safetensors").unlink()
    assert "SmolVLM-256M-Instruct" not in {one.name for one in served.list()}


def test_an_alias_means_its_model_everywhere(home: Path, model_dir: Path):
    aliases = {
        "gpt-4o-mini": "GPT-4o",
        "gpt-4o": "smallsight-TINY",
        "gone": "nothing here",
        "path": str(model_dir),
    }
    served = models(home, aliases=aliases)
    assert served.find("GPT-4o-Mini").name == "Smallsight-tiny"
    assert [one.name for one in served.list()] == ["Smallsight-tiny", "mine", "gpt-4o-mini", "gpt-4o"]
    assert served.names() == ("Smallsight-tiny", "mine", "test")
    assert (served.get("GPT-4o-mini").name, served.get("gpt-4o-mini").context_tokens) == ("gpt-4o-mini", 2048)
    with pytest.raises(
        UnknownModelError, match="gone is an alias of nothing here, which cannot be used: There"
    ):
        served.find("gone")
    with pytest.raises(UnknownModelError, match="path is an alias of"):
        served.find("path")


@pytest.mark.parametrize("aliases", [{"a": "A"}, {"a": "b", "B": "c", "c": "a"}])
def test_aliases_in_a_circle_are_refused(aliases: dict[str, str]):
    with pytest.raises(ValueError, match="they stand for each other in a circle: a -> "):
        Settings(aliases=aliases)


def test_any_name_means_the_active_model_where_that_is_set(home: Path):
    served = models(home, active_model="mine", server={"any_model_name": True})
    for name in ("dummy", "/etc/passwd", "mine", None):
        assert served.find(name).name == "mine"
    assert served.find("test").name == "test"
    with pytest.raises(UnknownModelError, match="not on this machine"):
        served.find("SmolVLM-256M-Instruct")
    with pytest.raises(UnknownModelError):
        models(home, server={"any_model_name": True}).find("dummy")


def test_a_client_is_told_the_names_it_can_use(home: Path):
    served = models(home)
    for name in ("dummy", "SmolVLM-256M-Instruct"):
        with pytest.raises(UnknownModelError) as caught:
            served.find_asked(name)
        assert caught.value.hint == "GET /v1/models: Smallsight-tiny, mine."
    with pytest.raises(UnknownModelError) as caught:
        served.find_asked("Smallsight-tiny:latest")
    assert caught.value.hint == "did you mean Smallsight-tiny? GET /v1/models: Smallsight-tiny, mine."

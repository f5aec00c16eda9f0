"""Names from clients: found among known ones, and never taken for a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.errors import BadRequestError, BrokenCheckpointError, UnknownModelError
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


def test_what_can_be_asked_is_listed(home: Path, model_dir: Path):
    assert [one.name for one in models(home).list()] == ["test", "Smallsight-tiny", "mine"]
    assert models(home).get("mine").created_s > 0
    (model_dir / "model.safetensors").unlink()
    assert [one.name for one in models(home).list()] == ["test", "Smallsight-tiny"]
    with pytest.raises(BrokenCheckpointError):
        models(home).find("mine")

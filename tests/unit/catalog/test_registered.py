"""Registered directories are kept by name, and only the list is ever changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsight.catalog.registered import RegisteredModel, RegisteredModels, RegisteredVariant
from smallsight.errors import SettingsError, UnknownModelError


@pytest.fixture
def registered(tmp_path):
    return RegisteredModels(tmp_path / "models.json")


def test_a_directory_is_found_in_any_case_and_by_another_program(registered, tmp_path):
    model = RegisteredModel("Mine", tmp_path / "mine", "smolvlm")
    registered.add(model)
    assert registered.get("mINE ") == model
    assert RegisteredModels(tmp_path / "models.json").all() == (model,)
    assert registered.get("other") is None


def test_the_same_name_is_replaced_and_the_list_is_sorted(registered):
    registered.add(RegisteredModel("b", Path("/1"), "smolvlm"))
    registered.add(RegisteredModel("A", Path("/2"), "smolvlm"))
    registered.add(RegisteredModel("B", Path("/3"), "florence2"))
    assert [(m.name, str(m.directory)) for m in registered.all()] == [("A", "/2"), ("B", "/3")]


def test_forgetting_touches_no_folder(registered, model_dir):
    registered.add(RegisteredModel("mine", model_dir, "smolvlm"))
    before = {path: path.read_bytes() for path in model_dir.iterdir()}
    assert registered.forget("MINE").directory == model_dir
    assert registered.all() == ()
    assert {path: path.read_bytes() for path in model_dir.iterdir()} == before


def test_forgetting_what_is_not_there_is_a_sentence(registered):
    with pytest.raises(UnknownModelError, match="registered as 'nothing'"):
        registered.forget("nothing")


@pytest.mark.parametrize(
    "content",
    [
        '{"variants": {"x": {}}}',
        '{"directories": {"x": {}}}',
        '{"directories": [1]}',
        '{"directories": {"x": 1}}',
    ],
)
def test_a_damaged_list_is_a_sentence(registered, tmp_path, content):
    (tmp_path / "models.json").write_text(content)
    with pytest.raises(SettingsError, match="not a valid list of models"):
        registered.names()


def test_a_variant_and_a_directory_share_one_list_of_names(registered):
    directory, variant = RegisteredModel("b", Path("/1"), "smolvlm"), RegisteredVariant("A", "b", "int4")
    registered.add(directory)
    registered.add_variant(variant)
    assert (registered.all(), registered.variants()) == ((directory,), (variant,))
    assert registered.names() == ("b", "A")
    assert registered.variant(" a") == variant
    registered.add_variant(RegisteredVariant("B", "x", "int8"))
    assert registered.all() == ()
    assert registered.forget("a") == variant
    assert registered.names() == ("B",)

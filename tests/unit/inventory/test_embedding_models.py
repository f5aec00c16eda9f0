"""The catalogue of picture embedding models: what it says, and which one a name or nothing means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local_hub import LocalHub
from smallsight.catalog.catalog import load_catalog, load_embedding_catalog
from smallsight.catalog.entry import Precision
from smallsight.catalog.registered import RegisteredModel, RegisteredModels
from smallsight.errors import ModelUnavailableError, UnknownModelError
from smallsight.inventory.embedding_models import (
    PictureModel,
    find_picture_model,
    list_picture_models,
    shipped_picture_model,
)
from smallsight.inventory.listing import ModelService
from smallsight.settings import Settings
from tiny_dual_encoder import write_tiny_clip, write_tiny_siglip

MIB = 1024 * 1024
FREE = {"Apache-2.0", "MIT", "BSD-3-Clause"}  # that allow every use


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def test_an_entry_says_all_that_people_ask_and_has_a_free_licence():
    for entry in load_embedding_catalog().entries:
        assert entry.licence.spdx in FREE, f"{entry.name} would be a default that not everybody may use"
        assert entry.licence.url.startswith("https://")
        assert entry.summary
        assert entry.good_at
        assert entry.hardware
        assert entry.precision is Precision.INT8
        assert all(re.search(r"\.(safetensors|json|txt|model)$", pattern) for pattern in entry.files)
        assert load_catalog().get(entry.name) is None, "a name means one model"


def test_parameters_and_memory_follow_from_the_sizes(settings: Settings):
    by_name = {status.entry.name: status for status in list_picture_models(settings)}
    siglip, siglip2 = by_name["SigLIP-base-patch16-224"], by_name["SigLIP2-base-patch16-224"]
    assert round(siglip.parameters / 1e6) == 203
    assert round(by_name["CLIP-ViT-B-32"].parameters / 1e6) == 151
    assert siglip2.table_bytes == 4 * 256_000 * 768
    assert siglip2.memory_bytes == siglip.memory_bytes  # the larger table stays on disk
    assert siglip.memory_bytes[Precision.INT8] < 400 * MIB
    assert by_name["TinyCLIP-ViT-8M-16-Text-3M"].memory_bytes[Precision.INT8] < 200 * MIB


def test_without_a_name_the_first_model_that_is_here_is_meant(settings: Settings, tmp_path: Path):
    cache_dir = tmp_path / "cache"
    assert find_picture_model(settings, None, cache_dir) is None
    folder = write_tiny_siglip(tmp_path / "tiny")
    assert find_picture_model(settings, str(folder)) == PictureModel("tiny", folder)
    name = "SigLIP2-base-patch16-224"
    RegisteredModels(settings.models_path).add(RegisteredModel(name, folder, "siglip"))
    assert find_picture_model(settings, None, cache_dir) == PictureModel(name, folder)
    assert find_picture_model(settings, name.casefold()) == PictureModel(name, folder)


def test_the_model_of_the_package_is_meant_only_by_name_or_where_it_is_allowed(
    settings: Settings, tmp_path: Path
):
    name = shipped_picture_model().name
    assert find_picture_model(settings, None, tmp_path) is None
    by_name, allowed = (
        find_picture_model(settings, name, tmp_path),
        find_picture_model(settings, None, tmp_path, or_shipped=True),
    )
    assert by_name == allowed
    assert by_name is not None
    assert by_name.name == name
    assert sum(path.stat().st_size for path in by_name.directory.iterdir()) < 2_500_000
    RegisteredModels(settings.models_path).add(
        RegisteredModel("CLIP-ViT-B-32", write_tiny_clip(tmp_path / "tiny"), "clip")
    )
    found = find_picture_model(settings, None, tmp_path, or_shipped=True)
    assert found is not None
    assert found.name == "CLIP-ViT-B-32"


def test_a_name_without_files_says_how_to_get_them(settings: Settings, tmp_path: Path):
    with pytest.raises(ModelUnavailableError, match="models pull CLIP-ViT-B-32"):
        find_picture_model(settings, "CLIP-ViT-B-32", tmp_path)
    with pytest.raises(UnknownModelError, match="no picture embedding model called 'nothing'"):
        find_picture_model(settings, "nothing")


def test_a_pulled_model_is_the_one_that_is_meant(settings: Settings, tmp_path: Path, hub: LocalHub):
    entry = load_embedding_catalog().find("SigLIP-base-patch16-224")
    folder = write_tiny_siglip(tmp_path / "tiny")
    served = {path.name: path.read_bytes() for path in folder.iterdir()} | {"pytorch_model.bin": b"a pickle"}
    hub.serve(entry.repository, served)
    cache_dir = tmp_path / "cache"
    service = ModelService(settings, catalog=load_embedding_catalog(), cache_dir=cache_dir, endpoint=hub.url)
    pulled = service.pull(entry.name)
    assert find_picture_model(settings, None, cache_dir) == PictureModel(entry.name, pulled.directory)
    assert {path.name for path in pulled.directory.iterdir()} == {path.name for path in folder.iterdir()}

"""What ``smallsight.load`` loads, and the sentence for each way of loading that does not exist."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import smallsight
from smallsight.errors import (
    ArgumentError,
    OutOfResourcesError,
    UnknownModelError,
)
from smallsight.inventory.listing import ModelService
from smallsight.model.loading import load
from smallsight.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def test_the_test_model_needs_nothing(settings: Settings):
    for name in ("test", "TEST", " test "):
        with load(name, settings=settings) as model:
            assert model.name == "test"


def test_load_is_the_one_of_the_package():
    assert smallsight.load is load
    with pytest.raises(AttributeError, match="unload"):
        smallsight.unload  # noqa: B018


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        ({"precision": "int3"}, ArgumentError, "'int3'.*auto, fp32"),
        ({"engine": "jax"}, ArgumentError, "engine cannot be 'jax'.*openvino, torch, remote"),
        ({"device": "tpu"}, ArgumentError, "Unknown device 'tpu'.*cuda:0 or mps"),
        (
            {"engine": "openvino", "device": "cuda"},
            ArgumentError,
            "'openvino' runs on the CPU.*engine='torch'",
        ),
    ],
)
def test_ways_of_loading_that_there_are_not(settings: Settings, wanted, error, words):
    with pytest.raises(error, match=words):
        load("test", settings=settings, **wanted)


def test_a_remote_that_the_settings_do_not_name(settings: Settings):
    with pytest.raises(UnknownModelError, match="No remote server is configured for 'far'"):
        load("far", engine="remote", settings=settings)


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


def test_a_scheme_and_a_variant_of_the_users_load_the_same_weights(settings: Settings):
    scheme = "int4; text=int4-groups-32; arithmetic=f32"
    ModelService(settings).add_variant("Mine", "Smallsight-tiny", scheme)
    keys = []
    for name, options in (("mine", {}), ("Smallsight-tiny", {"scheme": scheme})):
        with load(name, settings=settings, **options) as model:
            assert model.precision == scheme
            keys.append(model.key.replace(model.name, ""))
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("Smallsight-tiny", {"scheme": "int4; text=int2"}, "Unknown form 'int2' for text"),
        ("Smallsight-tiny", {"scheme": "int4", "precision": "int8"}, "in its scheme 'int4', not in int8"),
        ("mine", {"scheme": "int8"}, "mine already has the scheme 'int4'"),
        ("mine", {"precision": "int8"}, "mine can only be loaded in its scheme 'int4', not in int8"),
        ("test", {"scheme": "int4"}, "test has no weights for a scheme"),
    ],
)
def test_a_scheme_that_does_not_fit_the_model_is_a_sentence(settings: Settings, name, wanted, words):
    ModelService(settings).add_variant("mine", "Smallsight-tiny", "int4")
    with pytest.raises(ArgumentError, match=words):
        load(name, settings=settings, **wanted)

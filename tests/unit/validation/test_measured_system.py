"""What a person's names stand for: a variant and its base, here or on another server."""

from __future__ import annotations

import sys

import pytest

from native_decoders import needs_extension
from smallsight.errors import ModelNotRunnableError, SettingsError, UnknownModelError
from smallsight.machine.extension import find_extension
from smallsight.settings import RemoteSettings, Settings
from smallsight.validation.measured_system import WantedSystem, resolve_systems

TINY = "Smallsight-tiny"


@pytest.fixture
def settings(tmp_path):
    remotes = {"mine": RemoteSettings(base_url="http://127.0.0.1:9/v1", model="theirs", fallback=TINY)}
    return Settings(home=tmp_path, remotes=remotes)


def names(pair):
    return [(one.name, one.precision, one.engine) for one in pair]


def test_the_base_is_the_same_model_in_the_precision_of_its_checkpoint(settings):
    found = resolve_systems(WantedSystem(TINY, "int8"), None, settings)
    assert names(found) == [(TINY, "bf16", "openvino"), (f"{TINY}-int8", "int8", "openvino")]
    assert [one.title for one in found] == [f"{TINY} in bf16", f"{TINY}-int8"]


def test_the_base_of_a_folder_is_the_folder_in_16_bits(settings, model_dir):
    base, variant = resolve_systems(WantedSystem(str(model_dir), "int4"), None, settings)
    assert base.directory == variant.directory == model_dir
    assert names((base, variant)) == [
        ("my-model", "bf16", "openvino"),
        ("my-model-int4", "int4", "openvino"),
    ]
    assert base.files_mark != ""


def test_a_base_may_have_another_precision_or_engine(settings):
    base, _ = resolve_systems(WantedSystem(TINY, "int8"), WantedSystem("", "fp32"), settings)
    assert names([base]) == [(f"{TINY}-fp32", "fp32", "openvino")]
    base, variant = resolve_systems(WantedSystem(TINY), WantedSystem(TINY, engine="reference"), settings)
    assert (base.engine, base.title) == ("reference", f"{TINY} in bf16 on the reference engine")
    assert variant.engine == "openvino"
    _, variant = resolve_systems(WantedSystem(TINY, "nf4", engine="torch"), WantedSystem(TINY), settings)
    assert (variant.engine, variant.title) == ("torch", f"{TINY}-nf4 on the torch engine")
    with pytest.raises(SettingsError, match="Unknown engine 'paper'"):
        resolve_systems(WantedSystem(TINY, engine="paper"), WantedSystem(TINY), settings)


@needs_extension
def test_the_extension_is_compared_with_openvino_alone(settings):
    wanted = WantedSystem(TINY, "int8", engine="kernels")
    base, variant = resolve_systems(wanted, WantedSystem(TINY, "int8", engine="openvino-alone"), settings)
    assert [one.title for one in (base, variant)] == [
        f"{TINY}-int8 in OpenVINO alone",
        f"{TINY}-int8 with smallsight-kernels",
    ]


def test_without_the_extension_there_is_nothing_to_compare(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "smallsight_kernels", None)
    find_extension.cache_clear()
    try:
        with pytest.raises(ModelNotRunnableError, match=r"^Smallsight-kernels is not installed"):
            resolve_systems(WantedSystem(TINY, "int8", engine="kernels"), WantedSystem(TINY), settings)
    finally:
        find_extension.cache_clear()


def test_nothing_is_compared_with_itself(settings):
    with pytest.raises(SettingsError, match="in bf16 would be compared with itself"):
        resolve_systems(WantedSystem(TINY), None, settings)


def test_a_server_is_named_by_its_address_and_a_model(settings):
    address = "http://127.0.0.1:8080/v1#moondream"
    _, variant = resolve_systems(WantedSystem(address), WantedSystem(TINY), settings)
    assert not variant.is_local
    assert (variant.remote.base_url, variant.remote.model) == ("http://127.0.0.1:8080/v1", "moondream")
    described = variant.described("key")
    assert (described.kind, described.url) == ("server", "http://127.0.0.1:8080/v1")
    assert variant.predicted_weights_bytes() is None


def test_a_server_in_the_settings_never_answers_with_its_fallback(settings):
    _, variant = resolve_systems(WantedSystem("mine"), WantedSystem(TINY), settings)
    assert (variant.remote.model, variant.remote.fallback) == ("theirs", None)


@pytest.mark.parametrize(
    ("wanted", "against", "message"),
    [
        (WantedSystem("http://127.0.0.1:8080/v1"), WantedSystem(TINY), "names no model"),
        (WantedSystem("http://#x"), WantedSystem(TINY), "is not the address of a server"),
        (WantedSystem("mine"), None, "is on another server, so its base is not known"),
    ],
)
def test_what_cannot_be_measured_is_refused(wanted, against, message, settings):
    with pytest.raises(SettingsError, match=message):
        resolve_systems(wanted, against, settings)


def test_an_unknown_base_is_refused_before_anything_is_loaded(settings):
    with pytest.raises(UnknownModelError):
        resolve_systems(WantedSystem(TINY, "int8"), WantedSystem("nothing-like-it"), settings)


def test_predicted_weights_are_all_parameters_at_the_bits_of_the_precision(settings):
    base, variant = resolve_systems(WantedSystem(TINY, "int4"), None, settings)
    assert base.predicted_weights_bytes() == 4 * variant.predicted_weights_bytes()

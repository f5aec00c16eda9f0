from __future__ import annotations

from pathlib import Path

import pytest

import handmade_validation as handmade
from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Precision, Verdict
from smallsight.catalog.registered import RegisteredModels, RegisteredVariant
from smallsight.inventory.listing import ModelService
from smallsight.machine.processor import processor, usable_instruction_sets
from smallsight.quant.scheme import SCHEMES, parse_scheme
from smallsight.services.model_verdicts import ModelVerdicts, machine_name
from smallsight.services.verdict_keeping import keep_verdict, stored_validation
from smallsight.settings import Settings
from smallsight.validation.result import Judgement, ValidationResult
from smallsight.version import __version__
from stored_verdicts import store_verdict

NAME = "SmolVLM-256M-Instruct-int8"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def measured_here(verdict: Verdict) -> ValidationResult:
    """Return a result for a model of the catalogue, as if it had been measured on this machine."""
    result = handmade.result(verdict=verdict)
    here = handmade.MACHINE.model_copy(
        update={"processor": processor().name, "instruction_sets": usable_instruction_sets()}
    )
    form = {"precision": "int8", "scheme": SCHEMES["int8"].identity}
    system = result.variant.system.model_copy(update={"name": NAME, "version": __version__} | form)
    variant = result.variant.model_copy(update={"system": system})
    return result.model_copy(update={"machine": here, "variant": variant})


def test_a_measured_verdict_takes_the_place_of_the_catalogues(settings: Settings):
    entry = load_catalog().find(NAME)
    before = ModelVerdicts.here(settings).of_entry(entry)
    assert (before.verdict, before.measured) == (entry.verdict, None)
    assert not settings.database_path.exists(), "asking for verdicts has made a library"
    result = measured_here(Verdict.DO_NOT_SHIP)
    keep_verdict(settings, result)
    after = ModelVerdicts.here(settings).of_name(NAME.upper())
    assert after.verdict is Verdict.DO_NOT_SHIP
    assert after.is_doubtful
    assert after.measured == stored_validation(result)
    assert after.quality == pytest.approx(result.summary.quality.mean)
    assert after.num_pictures == result.summary.num_pictures


def test_a_verdict_of_another_machine_or_version_does_not_count(settings: Settings):
    store_verdict(settings, NAME, "do not ship", machine="another (neon)")
    store_verdict(settings, NAME, "do not ship", version="0.0.1")
    assert ModelVerdicts.here(settings).of_name(NAME).measured is None


def test_a_base_in_a_precision_and_the_variant_of_that_name_are_one(settings: Settings):
    base = load_catalog().find("SmolVLM-256M-Instruct")
    int8 = {"precision": "int8", "scheme": SCHEMES["int8"].identity}
    store_verdict(settings, base.name, "experimental", **int8)
    found = ModelVerdicts.here(settings)
    assert found.of_name(NAME).verdict is Verdict.EXPERIMENTAL
    assert found.of_entry(base, Precision.INT8).verdict is Verdict.EXPERIMENTAL
    assert found.of_name(base.name).verdict is Verdict.NOT_MEASURED, "it is loaded in bf16 by its name"


def test_a_precision_without_a_variant_in_the_catalogue_has_a_verdict(settings: Settings):
    tiny, int4 = load_catalog().find("Smallsight-tiny"), {"precision": "int4"}
    identity = SCHEMES["int4"].identity
    store_verdict(settings, f"{tiny.name}-int4", "do not ship", base=tiny.name, scheme=identity, **int4)
    found = ModelVerdicts.here(settings)
    assert found.of_entry(tiny, Precision.INT4).verdict is Verdict.DO_NOT_SHIP
    assert found.of_entry(tiny).verdict is Verdict.NOT_MEASURED
    assert found.of_name("Smallsight-tiny-int4").verdict is Verdict.DO_NOT_SHIP


def test_a_verdict_about_other_weights_does_not_count(settings: Settings):
    store_verdict(settings, NAME, "do not ship", scheme="bf16 text=int8-of-an-experiment")
    assert ModelVerdicts.here(settings).of_name(NAME).measured is None


def test_a_folder_of_the_users_has_the_verdict_of_its_default_precision(
    settings: Settings, tiny_checkpoint: Path
):
    ModelService(settings).add(tiny_checkpoint, "my-model")
    store_verdict(settings, "my-model", "stable")
    store_verdict(settings, "my-model", "do not ship", precision="int4", scheme=SCHEMES["int4"].identity)
    found = ModelVerdicts.here(settings)
    assert found.of_name("My-Model").verdict is Verdict.STABLE
    assert found.of_name("another").verdict is Verdict.NOT_MEASURED


def test_a_variant_with_a_scheme_of_its_own_has_the_newest_verdict_about_it(settings: Settings):
    scheme = "int4; text=int4-groups-32"
    RegisteredModels(settings.models_path).add_variant(RegisteredVariant("mine", "Smallsight-tiny", scheme))
    for verdict, text in (("experimental", scheme), ("stable", scheme), ("do not ship", "int4; text=nf4")):
        store_verdict(settings, "mine", verdict, precision=None, scheme=parse_scheme(text).identity)
    assert ModelVerdicts.here(settings).of_name("Mine").verdict is Verdict.STABLE
    RegisteredModels(settings.models_path).add_variant(
        RegisteredVariant("mine", "Smallsight-tiny", "int4; text=int8-groups")
    )
    assert ModelVerdicts.here(settings).of_name("mine").verdict is Verdict.NOT_MEASURED


def test_without_a_compared_picture_there_is_no_verdict_to_keep(settings: Settings):
    judgement = Judgement(verdict=Verdict.NOT_MEASURED, is_decided=False, reasons=(), thresholds={})
    keep_verdict(settings, handmade.result(2).model_copy(update={"judgement": judgement}))
    assert not settings.database_path.exists()


@pytest.mark.parametrize("engine", ["torch", "reference"])
def test_the_verdict_of_another_engine_is_not_the_models(settings: Settings, engine: str):
    result = measured_here(Verdict.DO_NOT_SHIP)
    system = result.variant.system.model_copy(update={"engine": engine})
    variant = result.variant.model_copy(update={"system": system})
    keep_verdict(settings, result.model_copy(update={"variant": variant}))
    assert ModelVerdicts.here(settings).of_name(NAME).measured is None


def test_a_machine_is_named_by_what_determines_its_numbers():
    assert machine_name("AMD EPYC", ("avx2", "fma")) == "AMD EPYC (avx2 fma)"
    assert machine_name() == machine_name(processor().name, usable_instruction_sets())

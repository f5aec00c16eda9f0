"""Which families and precisions there is an engine for."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsight.catalog.catalog import load_catalog
from smallsight.engine.loading import LOADERS, OPENVINO, TORCH, load_engine, schemes_of
from smallsight.engine.torch.packages import FAMILIES as TORCH_FAMILIES
from smallsight.errors import ModelNotRunnableError
from smallsight.families.florence2.tasks import DESCRIBE
from smallsight.families.registry import FAMILIES
from smallsight.inventory.known_model import KnownModel
from smallsight.inventory.names import RUNNABLE_FAMILIES, TEST_FAMILY
from smallsight.quant.scheme import SCHEMES, TORCH_SCHEMES, scheme_named


def test_every_family_that_is_offered_has_an_engine():
    families = {family for engine, family in LOADERS if engine == OPENVINO}
    assert families == RUNNABLE_FAMILIES - {TEST_FAMILY} == set(FAMILIES)
    assert set(load_catalog().model_types.values()) == families


@pytest.mark.parametrize(
    "entry", [one for one in load_catalog().entries if one.precision is not None], ids=lambda one: one.name
)
def test_what_a_name_loads_by_itself_is_a_precision_of_the_engine(entry):
    assert entry.precision in SCHEMES


def test_the_catalogue_names_the_prompt_that_florence_describes_with():
    prompts = {one.default_prompt for one in load_catalog().entries if one.family == "florence2"}
    assert prompts == {DESCRIBE}


@pytest.mark.parametrize("precision", ["fp16", "nf4"])
def test_a_precision_without_a_scheme_is_a_sentence(precision):
    with pytest.raises(ModelNotRunnableError, match=f"support {precision!r}.*fp32, bf16, int8, int4"):
        scheme_named(precision)


def test_the_torch_engine_has_the_families_that_are_shown_for_it():
    assert {family for engine, family in LOADERS if engine == TORCH} == set(TORCH_FAMILIES)
    assert set(schemes_of(TORCH)) == {"fp32", "bf16", "fp16", "int8", "nf4", "int4"}


def test_every_row_of_the_catalogue_has_a_loader_and_a_recipe_in_the_torch_engine():
    offenders = []
    for entry in load_catalog().entries:
        precision = KnownModel(entry.name, entry.family, Path(), entry).precision_in_torch()
        if entry.family != TEST_FAMILY and (
            (TORCH, entry.family) not in LOADERS or precision not in TORCH_SCHEMES
        ):
            offenders.append((entry.name, precision))
    assert offenders == []


def test_an_engine_without_a_loader_for_a_family_is_a_sentence(tmp_path):
    with pytest.raises(ModelNotRunnableError, match="'reference' cannot run moondream2 models"):
        load_engine("moondream2", tmp_path, SCHEMES["fp32"], engine="reference")

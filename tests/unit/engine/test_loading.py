"""Which families and precisions there is an engine for."""

from __future__ import annotations

import pytest

from smallsight.catalog.catalog import load_catalog
from smallsight.engine.loading import _LOADERS, load_engine
from smallsight.errors import ModelNotRunnableError
from smallsight.families.florence2.tasks import DESCRIBE
from smallsight.inventory.names import RUNNABLE_FAMILIES, TEST_FAMILY
from smallsight.quant.scheme import SCHEMES


def test_every_family_that_is_offered_has_an_engine():
    assert set(_LOADERS) == RUNNABLE_FAMILIES - {TEST_FAMILY}
    assert set(load_catalog().model_types.values()) == set(_LOADERS)


@pytest.mark.parametrize(
    "entry", [one for one in load_catalog().entries if one.precision is not None], ids=lambda one: one.name
)
def test_what_a_name_loads_by_itself_is_a_precision_of_the_engine(entry):
    assert entry.precision in SCHEMES


def test_the_catalogue_names_the_prompt_that_florence_describes_with():
    prompts = {one.default_prompt for one in load_catalog().entries if one.family == "florence2"}
    assert prompts == {DESCRIBE}


@pytest.mark.parametrize("precision", ["fp16", "nf4"])
@pytest.mark.parametrize("family", sorted(_LOADERS))
def test_a_precision_that_it_does_not_have_is_a_sentence(family, precision, tmp_path):
    with pytest.raises(ModelNotRunnableError, match=f"no precision {precision!r}.*fp32, bf16, int8, int4"):
        load_engine(family, tmp_path, precision)

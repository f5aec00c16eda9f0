"""Which schemes an exploration tries: those of the family, and no two that store the same."""

from __future__ import annotations

import pytest

from smallsight.families.registry import FAMILIES, find_family
from smallsight.quant.forms import Storage
from smallsight.quant.scheme import SCHEMES, Module, parse_scheme
from smallsight.validation.candidate_schemes import candidate_schemes, forms_text

WIDTHS = (256, 576, 1536)


def predict(scheme):
    return sum(scheme.modules[module].matrix_bytes(256, 256) for module in Module)


def candidates(family, base="bf16", widths=WIDTHS):
    return candidate_schemes(find_family(family), SCHEMES[base], widths, predict)


@pytest.mark.parametrize("family", FAMILIES)
def test_all_store_something_else_in_the_familys_forms_and_the_largest_comes_first(family):
    found = candidates(family)
    adapt = find_family(family).adapted
    stored = [(one.scheme.arithmetic, tuple(adapt(one.scheme).modules.values())) for one in found]
    assert len(set(stored)) == len(found) >= 6
    assert {"int8", "int4"} <= {one.name for one in found}
    for one in found:
        assert parse_scheme(str(one.scheme)) == one.scheme
        assert adapt(one.scheme).modules == adapt(parse_scheme(str(one.scheme))).modules
    sizes = [one.num_bytes for one in found]
    assert sizes == sorted(sizes, reverse=True)


def test_a_tower_that_its_family_keeps_wide_stays_wide():
    for one in candidates("florence2"):
        adapted = find_family("florence2").adapted(one.scheme)
        assert adapted.modules[Module.VISION] is adapted.modules[Module.CONNECTOR] is Storage.BF16
    towers = {find_family("moondream2").adapted(one.scheme).modules[Module.VISION].bits
              for one in candidates("moondream2")}  # fmt: skip
    assert towers == {8}


def test_forms_that_the_rows_are_too_narrow_for_are_not_tried():
    assert "int4-groups-128" in {one.name for one in candidates("smolvlm")}
    narrow = {one.name for one in candidates("smolvlm", widths=(192, 576))}
    assert "int4-groups" in narrow
    assert not any("128" in name for name in narrow)


def test_the_base_is_not_tried():
    assert "int8" not in {one.name for one in candidates("smolvlm", base="int8")}


def test_forms_are_named_by_part():
    assert forms_text(parse_scheme("int4; text=nf4; arithmetic=f32")) == (
        "vision, connector: int4-groups-searched; text: nf4; head: int8-groups; arithmetic: f32"
    )

"""The schemes to explore: enough of them, all different, and none that a variant could not store."""

from __future__ import annotations

from smallsight.quant.exploring import explored_schemes
from smallsight.quant.forms import Storage
from smallsight.quant.scheme import SCHEMES, Module, parse_scheme


def predict(scheme):
    return sum(scheme.modules[module].matrix_bytes(256, 256) for module in Module)


def test_every_explored_scheme_can_be_saved_as_text_and_differs_from_the_others():
    explored = explored_schemes(predict)
    assert len({one.name for one in explored}) == len(explored)
    assert len({(one.scheme.arithmetic, *one.scheme.modules.values()) for one in explored}) == len(explored)
    for one in explored:
        assert parse_scheme(str(one.scheme)) == one.scheme
        assert one.num_bytes == predict(one.scheme)


def test_all_forms_of_4_bits_and_mixtures_of_modules_are_tried():
    explored = {one.name: one.scheme for one in explored_schemes(predict)}
    tried = {form for scheme in explored.values() for form in scheme.modules.values()}
    assert {form for form in Storage if form.bits == 4} <= tried
    assert {"int8", "int8-f32", "int4", "int4-text", "int4-vision", "int4-head"} <= set(explored)
    assert explored["int4-text"].modules[Module.VISION] is SCHEMES["int8"].modules[Module.VISION]


def test_the_largest_come_first_and_double_scales_are_explained():
    explored = explored_schemes(predict)
    sizes = [one.num_bytes for one in explored]
    assert sizes == sorted(sizes, reverse=True)
    assert {bool(one.note) for one in explored if "double" in one.name} == {True}
    assert not any(one.note for one in explored if "double" not in one.name)

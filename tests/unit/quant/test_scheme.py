"""Which form a matrix gets at each precision."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.errors import ArgumentError
from smallsight.quant.bf16 import BF16Matrix
from smallsight.quant.forms import Storage
from smallsight.quant.grouped import GroupedMatrix
from smallsight.quant.int8_rows import Int8Rows
from smallsight.quant.scheme import SCHEMES, Module, parse_scheme, store_matrix

MATRIX = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)


def test_the_text_embedders_precisions():
    assert store_matrix(MATRIX, "fp32") is MATRIX
    stored = store_matrix(MATRIX, "int8")
    assert isinstance(stored, Int8Rows)
    assert stored.codes.dtype == np.int8


@pytest.mark.parametrize("module", Module)
@pytest.mark.parametrize(
    ("precision", "kind", "bits"),
    [
        ("fp32", np.ndarray, None),
        ("bf16", BF16Matrix, None),
        ("int8", GroupedMatrix, 8),
        ("int4", GroupedMatrix, 4),
    ],
)
def test_each_module_gets_the_form_of_its_precision(module, precision, kind, bits):
    stored = SCHEMES[precision].store(MATRIX, module)
    assert isinstance(stored, kind)
    if bits is not None:
        assert stored.code.bits == (8 if module is Module.HEAD else bits)


def test_a_width_no_group_divides_falls_back_to_rows():
    assert isinstance(SCHEMES["int4"].store(MATRIX[:, :63], Module.TEXT), Int8Rows)


def test_schemes_are_told_apart():
    assert len({scheme.identity for scheme in SCHEMES.values()}) == len(SCHEMES)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        *((name, name) for name in SCHEMES),
        ("int4; text=int4-groups-32-searched", None),
        ("int8; vision=bf16; head=int4-groups; arithmetic=f32", None),
        ("int4;head=nf4 ;vision = fp4-double;", "int4; vision=fp4-double; head=nf4"),
        ("int4; arithmetic=bf16", "int4"),
    ],
)
def test_a_scheme_is_read_as_it_is_printed(text, printed):
    scheme = parse_scheme(text)
    assert str(scheme) == (printed or text)
    assert parse_scheme(str(scheme)) == scheme
    assert parse_scheme(str(scheme)).identity == scheme.identity


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int3", "Unknown precision 'int3'"),
        ("text=int8-groups", "Unknown precision 'text=int8-groups'"),
        ("int4; tower=int8-groups", "Unknown part 'tower' in a scheme"),
        ("int4; text=int5", "Unknown form 'int5' for text"),
        ("int4; text", "Unknown form '' for text"),
        ("int4; text=nf4; text=fp4", "names text twice"),
        ("int4; arithmetic=f32; arithmetic=bf16", "names arithmetic twice"),
        ("int4; arithmetic=f16", "Unknown arithmetic 'f16'"),
        ("int4; embeddings=int8-rows", "cannot choose a form for embeddings"),
    ],
)
def test_a_wrong_scheme_is_a_sentence_with_a_hint(text, message):
    with pytest.raises(ArgumentError, match=message) as raised:
        parse_scheme(text)
    assert raised.value.hint


def test_a_family_adapts_a_precision_but_not_what_was_chosen():
    wanted = {Module.VISION: Storage.BF16, Module.CONNECTOR: Storage.BF16}
    adapted = parse_scheme("int4; vision=nf4").adapted(wanted)
    assert (adapted.modules[Module.VISION], adapted.modules[Module.CONNECTOR]) == ("nf4", "bf16")
    named, chosen = parse_scheme("int4"), parse_scheme(f"int4; vision={SCHEMES['int4'].modules['vision']}")
    assert named.identity != chosen.identity

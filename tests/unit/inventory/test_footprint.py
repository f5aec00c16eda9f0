"""Memory by precision follows from the shapes, scales and leftovers included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.checkpoint import mark_of_files
from smallsight.catalog.entry import Precision
from smallsight.errors import BrokenCheckpointError, OutOfResourcesError
from smallsight.families.registry import tensor_shapes
from smallsight.families.tensor_shape import Role, linear, lookup, plain
from smallsight.inventory.footprint import (
    Footprints,
    parameter_count,
    require_memory,
    running_bytes,
    scheme_bytes,
    scheme_tensor_bytes,
    tensor_bytes,
    weights_bytes,
)
from smallsight.inventory.known_model import KnownModel
from smallsight.quant.scheme import SCHEMES, parse_scheme

GIB = 1024**3
CATALOG = load_catalog()
SMALL = CATALOG.find("SmolVLM-256M-Instruct")


@pytest.mark.parametrize(
    ("precision", "matrix", "table", "norm"),
    [
        (Precision.FP32, 10 * 100 * 4, 50 * 8 * 4, 28),
        (Precision.FP16, 10 * 100 * 2, 50 * 8 * 2, 14),
        (Precision.BF16, 10 * 100 * 2, 50 * 8 * 2, 14),
        (Precision.NF4, 500 + 16 + 4, 50 * 8 * 2, 14),
    ],
)
def test_the_bytes_of_each_kind_of_tensor(precision, matrix, table, norm):
    assert tensor_bytes(linear("x", 10, 100, Role.TEXT, bias=False)[0], precision) == matrix
    assert tensor_bytes(lookup("x", 50, 8), precision) == table
    assert tensor_bytes(plain("x", (7,), Role.TEXT), precision) == norm


def test_the_head_keeps_sixteen_bits_in_nf4_only():
    head = linear("head", 10, 128, Role.HEAD, bias=False)[0]
    assert tensor_bytes(head, Precision.NF4) == 10 * 128 * 2
    assert scheme_tensor_bytes(head, SCHEMES["int8"]) == 10 * (128 + 2 * 2)  # a scale for 64 values


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_modules_that_a_family_keeps_in_sixteen_bits_count_so(precision):
    entry = CATALOG.find("Florence-2-base")
    tower = [one for one in tensor_shapes(entry.architecture) if one.role is Role.VISION]
    in_16_bits = sum(tensor_bytes(one, Precision.BF16) for one in tower)
    assert (
        weights_bytes(entry, Precision(precision)) > in_16_bits > 0.6 * weights_bytes(entry, Precision.INT4)
    )
    forced = scheme_bytes(
        entry, parse_scheme(f"{precision}; vision={precision}-groups; connector={precision}-groups")
    )
    assert weights_bytes(entry, Precision(precision)) - forced > 0.4 * in_16_bits


def test_sixteen_bits_are_two_bytes_a_parameter_and_no_less():
    for entry in CATALOG.entries:
        count = parameter_count(entry)
        if count is not None:
            assert weights_bytes(entry, Precision.BF16) == 2 * count
            assert weights_bytes(entry, Precision.FP32) == 4 * count


@pytest.mark.parametrize("entry", [e for e in CATALOG.entries if e.architecture], ids=lambda e: e.name)
def test_fewer_bits_take_less_memory(entry):
    sizes = [weights_bytes(entry, p) for p in (Precision.BF16, Precision.INT8, Precision.INT4)]
    least = 1.2 if entry.family == "florence2" else 1.75  # whose tower keeps 16 bits
    assert sizes[0] > least * sizes[1]
    assert sizes[1] > 1.1 * sizes[2]
    assert weights_bytes(entry, Precision.NF4) > weights_bytes(entry, Precision.BF16) / 4


@pytest.mark.parametrize(
    ("name", "int8_limit", "int4_limit"),
    [("SmolVLM-256M-Instruct", 0.30e9, 0.18e9), ("SmolVLM-500M-Instruct", 0.55e9, 0.33e9)],
)
def test_the_promised_limits_hold(name, int8_limit, int4_limit):
    entry = CATALOG.find(name)
    assert weights_bytes(entry, Precision.INT8) <= int8_limit
    assert weights_bytes(entry, Precision.INT4) <= int4_limit


def test_running_takes_the_weights_a_cache_and_the_program():
    cache_bytes = 30 * 8192 * 384 * 2
    program_bytes = running_bytes(SMALL, Precision.INT8) - weights_bytes(SMALL, Precision.INT8) - cache_bytes
    assert program_bytes == 512 * 1024**2


def test_without_bf16_the_runtime_holds_16_bit_weights_twice_in_float32():
    with_it = running_bytes(SMALL, Precision.BF16, has_bf16=True)
    without = running_bytes(SMALL, Precision.BF16, has_bf16=False)
    assert without - with_it == 3 * weights_bytes(SMALL, Precision.BF16)
    for quantised in (Precision.FP32, Precision.INT8, Precision.INT4):
        assert running_bytes(SMALL, quantised, has_bf16=True) == running_bytes(
            SMALL, quantised, has_bf16=False
        )


def test_a_model_without_weights_takes_none():
    entry = CATALOG.find("test")
    assert parameter_count(entry) is None
    assert weights_bytes(entry, Precision.BF16) == running_bytes(entry, Precision.BF16) == 0


def test_a_folder_weighs_what_its_headers_say(model_dir: Path):
    footprints = Footprints(load_catalog().model_types)
    folder = KnownModel("mine", "smolvlm", model_dir, files_mark=mark_of_files(model_dir))
    needed = footprints.needed_bytes(folder, Precision.BF16)
    assert footprints.needed_bytes(folder, Precision.FP32) == 2 * needed > 0


def test_headers_are_read_once_and_again_when_a_file_changes(model_dir: Path):
    footprints = Footprints(load_catalog().model_types)
    folder = KnownModel("mine", "smolvlm", model_dir, files_mark="first")
    needed = footprints.needed_bytes(folder, Precision.BF16)
    (model_dir / "model.safetensors").write_bytes(b"not weights")
    assert footprints.needed_bytes(folder, Precision.BF16) == needed  # by the mark nothing has changed
    with pytest.raises(BrokenCheckpointError):
        footprints.needed_bytes(replace(folder, files_mark="second"), Precision.BF16)


def test_an_entry_weighs_what_answering_takes():
    footprints = Footprints({})
    entry = load_catalog().find("SmolVLM-256M-Instruct")
    model = KnownModel(entry.name, entry.family, Path("somewhere"), entry)
    for precision in (Precision.BF16, Precision.INT8):
        assert footprints.needed_bytes(model, precision) == running_bytes(entry, precision)
    test = load_catalog().find("test")
    assert footprints.needed_bytes(KnownModel("test", "test", None, test), None) == 0


def test_too_little_memory_is_said_with_both_numbers():
    model = KnownModel("large", "smolvlm", Path("large"))
    require_memory(model, Precision.BF16, 3 * GIB, usable_bytes=3 * GIB, free_bytes=3 * GIB)
    with pytest.raises(OutOfResourcesError, match=r"large in bf16 needs about 3\.0 GiB .* has 2\.0 GiB"):
        require_memory(model, Precision.BF16, 3 * GIB, usable_bytes=2 * GIB, free_bytes=2 * GIB)
    with pytest.raises(OutOfResourcesError, match=r"needs about 3\.0 GiB of memory, and 1\.0 GiB are free"):
        require_memory(model, Precision.BF16, 3 * GIB, usable_bytes=4 * GIB, free_bytes=GIB)

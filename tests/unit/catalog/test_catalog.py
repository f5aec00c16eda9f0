"""The shipped catalogue says what the specification says, and finds models by every name they have."""

from __future__ import annotations

import re

import pytest

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Modality, Precision, Verdict
from smallsight.errors import UnknownModelError

CATALOG = load_catalog()
ROWS = {f"A{number}" for number in range(1, 14)}
ENTRIES = pytest.mark.parametrize("entry", CATALOG.entries, ids=lambda entry: entry.name)


def test_every_row_of_the_specification_is_there():
    assert {entry.id.split("-")[0] for entry in CATALOG.entries} == ROWS
    assert len({entry.id for entry in CATALOG.entries}) == len(CATALOG.entries)
    assert len({entry.name.casefold() for entry in CATALOG.entries}) == len(CATALOG.entries)


@ENTRIES
def test_an_entry_says_all_that_people_ask(entry):
    assert entry.summary
    assert entry.good_at
    assert entry.hardware
    assert entry.licence.spdx in {"MIT", "Apache-2.0"}
    assert entry.licence.url.startswith("https://")
    assert entry.modalities[0] is Modality.IMAGE
    assert re.fullmatch(r"\d+\.\d+\.\d+", entry.available_in)
    assert entry.verdict is Verdict.NOT_MEASURED
    assert (entry.architecture is None) == (entry.precisions == ())


@ENTRIES
def test_a_variant_uses_the_files_of_its_base(entry):
    if entry.base is None:
        return
    base = CATALOG.base_of(entry)
    assert base.base is None
    for field in ("repository", "revision", "files", "licence", "architecture", "family", "available_in"):
        assert getattr(entry, field) == getattr(base, field)
    assert entry.precision in {Precision.INT8, Precision.INT4, Precision.NF4}
    assert entry in CATALOG.sharing_files_with(base)
    assert base in CATALOG.sharing_files_with(entry)


@ENTRIES
def test_only_data_may_be_fetched(entry):
    for pattern in entry.files:
        assert re.search(r"\.(safetensors|json|jinja|txt)$", pattern)
    assert (entry.repository is None) == (entry.files == ())


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("test", "0.2.0"),
        ("SmolVLM-256M-Instruct", "0.2.0"),
        ("SmolVLM-500M-Instruct-int8", "0.2.0"),
        ("SmolVLM2-500M-Video-Instruct", "0.2.0"),
        ("Smallsight-tiny", "0.2.0"),
        ("Florence-2-base-int4", "0.2.0"),
        ("moondream2", "0.2.0"),
    ],
)
def test_models_say_which_release_brings_them(name, release):
    assert CATALOG.find(name).available_in == release


def test_video_comes_later_than_pictures():
    entry = CATALOG.find("SmolVLM2-500M-Video-Instruct-int8")
    assert Modality.VIDEO in entry.modalities
    assert entry.video_available_in is None


def test_moondream_is_the_revision_of_january_2025():
    assert CATALOG.find("moondream2-int8").revision == "2025-01-09"


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("smolvlm-256m-INSTRUCT", "SmolVLM-256M-Instruct"),
        (" moondream2 ", "moondream2"),
        ("HuggingFaceTB/SmolVLM-256M-Instruct", "SmolVLM-256M-Instruct"),
        ("microsoft/florence-2-BASE", "Florence-2-base"),
        ("florence-community/Florence-2-base", "Florence-2-base"),
    ],
)
def test_names_are_found_in_any_case_and_by_repository(asked, name):
    assert CATALOG.find(asked).name == name


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownModelError, match="no model called 'SmolVLM-265M-Instruct'") as failed:
        CATALOG.find("SmolVLM-265M-Instruct")
    assert "SmolVLM-256M-Instruct" in failed.value.hint


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("smollvm", "SmolVLM-256M-Instruct"), ("florance", "Florence-2-base"), ("moondram", "moondream2")],
)
def test_the_beginning_of_a_name_is_enough_to_be_near(asked, meant):
    with pytest.raises(UnknownModelError) as failed:
        CATALOG.find(asked)
    assert f"did you mean {meant}" in failed.value.hint


def test_a_name_like_nothing_is_answered_with_the_list():
    with pytest.raises(UnknownModelError) as failed:
        CATALOG.find("qqqqqqqqq")
    assert "smallsight models" in failed.value.hint
    assert CATALOG.get("") is None

"""Releases are compared as numbers, so that a model is offered from its release on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Precision, release_number
from smallsight.version import __version__

ENTRY = load_catalog().find("SmolVLM-256M-Instruct")


@pytest.mark.parametrize(
    ("version", "number"),
    [("0.2.0", (0, 2, 0)), ("0.10.1.dev3", (0, 10, 1)), ("1.0rc1", (1, 0)), ("unknown", ())],
)
def test_the_numbers_of_a_release(version, number):
    assert release_number(version) == number


def test_ten_comes_after_two():
    assert release_number("0.10.0") > release_number("0.2.0")


def test_a_model_runs_from_its_release_on():
    assert replace(ENTRY, available_in=__version__).is_runnable
    assert replace(ENTRY, available_in="0.0.9").is_runnable
    assert not replace(ENTRY, available_in="99.0.0").is_runnable


def test_the_default_precision_is_the_first():
    assert replace(ENTRY, precisions=(Precision.INT8, Precision.BF16)).precision is Precision.INT8
    assert replace(ENTRY, precisions=()).precision is None

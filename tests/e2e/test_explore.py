"""Schemes of the shipped model are tried on pictures, and the best one becomes a model with a name."""

from __future__ import annotations

import json
import re

import pytest
from benchmarks.broken_weights import write_broken

from smallsight.catalog.entry import Verdict
from smallsight.errors import SettingsError
from smallsight.services.exploring import Explored, save_scheme
from smallsight.validation.measured_system import WantedSystem

from .test_validate import SHIPPED, TINY, measured, write_pictures
from .test_validate import settings as settings  # noqa: PLC0414 - a fixture

TEXT = "int4; text=fp4"
SCHEMES = ("int8", "nf4", TEXT)


@pytest.fixture
def pictures(tmp_path):
    return write_pictures(tmp_path / "pictures", 3)


def test_the_best_scheme_is_found_saved_and_used(smallsight, pictures, tmp_path):
    (smallsight.home / "smallsight.toml").write_text("threads = 1\n")
    out, err = smallsight.run(
        *("validate", TINY, "--explore", *(part for one in SCHEMES for part in ("--scheme", one))),
        *("--pictures", pictures, "--max-tokens", "8", "--out", tmp_path / "found.html"),
        *("--budget", "60%", "--save", "mine"),
        code=12,
    )
    assert "3 pictures" in err
    assert "Saved as mine" in err
    found = json.loads((tmp_path / "found.exploration.json").read_text())
    by_name = {one["name"]: one for one in found["schemes"]}
    assert set(by_name) == set(SCHEMES)
    assert (
        by_name[TEXT]["weights_bytes"] == by_name["nf4"]["weights_bytes"] < by_name["int8"]["weights_bytes"]
    )
    assert by_name["int8"]["summary"]["kl_nats"]["mean"] < by_name["nf4"]["summary"]["kl_nats"]["mean"]
    assert [name for name, one in by_name.items() if one["is_saved"]] == ["int8"]
    assert re.search(r"^\* int8 .*5[0-9]\.[0-9] %", out, re.MULTILINE)
    assert re.search(r"^best up to [0-9.]+ MiB  int8 \(", out, re.MULTILINE)
    report = (tmp_path / "found.html").read_text()
    assert "Schemes that were tried" in report
    assert "<svg" in report
    assert json.loads((tmp_path / "found.json").read_text())["variant"]["system"]["name"] == "mine"
    kept = {path.name for path in (tmp_path / "found").iterdir()}
    assert kept == {"int8.json", "nf4.json", "int4-text-fp4.json"}
    # The weights of what was only tried are gone, and what was saved is a model like any other.
    assert list(smallsight.home.glob("prepared/*.weights")) == []
    shown = smallsight.json("models", "show", "mine")
    assert (shown["base"], shown["scheme"]) == (TINY, "int8")
    assert (shown["validation"]["base"], shown["validation"]["num_pictures"]) == (TINY, 3)
    answer = smallsight.json("describe", pictures / "00.png", "--model", "mine", "--max-tokens", "8")
    assert answer


@pytest.mark.slow
def test_a_variant_that_cannot_be_loaded_does_not_stop_the_others(settings, pictures, tmp_path):
    def spoil(weights, random):
        weights["model.connector.modality_projection.proj.weight"][0, 0] = float("nan")

    spoilt = write_broken(SHIPPED, tmp_path / "spoilt", spoil)
    variants = [WantedSystem(str(spoilt), "int8"), WantedSystem(TINY, "int8")]
    broken, sound = measured(settings, pictures, variants)
    assert broken.judgement.verdict is Verdict.NOT_MEASURED
    assert {one.problem for one in broken.pictures} == {broken.pictures[0].problem}
    assert "not finite" in broken.pictures[0].problem
    assert sound.summary.num_pictures == 3


def test_nothing_is_saved_where_nothing_is_good_enough(settings):
    nothing = Explored(TINY, None, {}, None, 1)
    with pytest.raises(SettingsError, match="No scheme is good and small enough"):
        save_scheme(nothing, "mine", settings)


def test_what_cannot_be_explored_has_one_sentence(smallsight, pictures):
    for options, sentence in (
        (("--budget", "1GB"), "--budget needs --explore"),
        (("--scheme", "int8", "--scheme", "nf4"), "--scheme several times needs --explore"),
        (("--explore", "--precision", "int8"), "--explore tries precisions itself"),
        (("--explore", "--budget", "much"), "'much' is not a budget for memory"),
        (("--explore", "--scheme", "int9"), "Unknown precision 'int9' in the scheme"),
    ):
        _, err = smallsight.run("validate", TINY, "--pictures", pictures, *options, code=2)
        assert sentence in err

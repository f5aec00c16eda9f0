"""The tables of models are what the catalogue and the stored measurements say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

import handmade_validation as handmade
from contract.checkout import ROOT
from smallsight.catalog.catalog import load_catalog
from smallsight.catalog.entry import Verdict

GIB = 1024**3


@pytest.fixture(scope="module")
def writer() -> Any:
    spec = importlib.util.spec_from_file_location(
        "write_models_table", ROOT / "docs" / "write_models_table.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def measured(writer: Any, tmp_path: Path, **folders: Any) -> Any:
    """Return what is collected from results that lie in a folder, or in the one of random weights."""
    for name, result in folders.items():
        folder = tmp_path / "random_weights" if name.startswith("random") else tmp_path
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.json").write_text(result.model_dump_json(), encoding="utf-8")
    writer.collect(tmp_path, tmp_path / "measured.list")
    return writer.read_measurements(tmp_path / "measured.list")


def test_the_tables_are_up_to_date(writer: Any):
    assert writer.outdated(repair=False) == [], "run python docs/write_models_table.py"


def test_every_model_with_weights_has_its_row(writer: Any):
    table = writer.models_table(())
    for entry in load_catalog().entries:
        assert (f"| `{entry.name}` |" in table) is (entry.precision is not None), entry.name


def test_measurements_appear_with_their_machine_and_verdict(writer: Any, tmp_path: Path):
    result = handmade.result(64, verdict=Verdict.EXPERIMENTAL)
    name = {"name": "Florence-2-base-int4", "precision": "int4"}
    variant = result.variant.model_copy(update={"system": result.variant.system.model_copy(update=name)})
    base = {"name": "Florence-2-base", "precision": "bf16"}
    whole = result.base.model_copy(update={"system": result.base.system.model_copy(update=base)})
    found = measured(writer, tmp_path, one=result.model_copy(update={"base": whole, "variant": variant}))
    rows = {
        line.split("|")[1].strip(): line for line in writer.models_table(found).splitlines() if "|" in line
    }
    row = rows["`Florence-2-base-int4`"]
    quality = int(1000 * result.summary.quality.mean) / 10
    assert f"experimental: {quality:g} % on 64 pictures" in row
    assert "424 MiB | 584 MiB | 16.1 pictures/min, 53 tokens/s (A)" in row
    assert "706 MiB | 866 MiB | 11.5 pictures/min, 38 tokens/s (A) | base |" in rows["`Florence-2-base`"]
    assert "A: AMD EPYC, 2 threads." in " ".join(writer.models_table(found).split())


def test_random_weights_say_nothing_about_answers(writer: Any, tmp_path: Path):
    result = handmade.result(64, verdict=Verdict.DO_NOT_SHIP)
    system = result.variant.system.model_copy(update={"name": "moondream2-int8", "precision": "int8"})
    variant = result.variant.model_copy(update={"system": system})
    found = measured(writer, tmp_path, random_one=result.model_copy(update={"variant": variant}))
    row = next(
        line for line in writer.models_table(found).splitlines() if line.startswith("| `moondream2-int8`")
    )
    assert row.endswith(
        "| 424 MiB\\* | 584 MiB\\* | 16.1 pictures/min, 53 tokens/s\\* (A) | not measured yet |"
    )


def test_a_newer_measurement_replaces_an_older_one_but_no_verdict(writer: Any, tmp_path: Path):
    judged = handmade.result(64)
    system = judged.variant.system.model_copy(update={"name": "moondream2-int8", "precision": "int8"})
    judged = judged.model_copy(update={"variant": judged.variant.model_copy(update={"system": system})})
    later = judged.model_copy(update={"measured_at": judged.measured_at.replace(year=2027)})
    found = measured(writer, tmp_path, judged=judged, random_later=later)
    kept = next(one for one in found if one.model == "moondream2-int8")
    assert (kept.measured_on, kept.has_random_weights) == ("2026-11-28", False)


@pytest.mark.parametrize("gib", [1, 2, 4, 8, 16, 64])
def test_what_is_recommended_fits_and_nothing_larger_does(writer: Any, gib: int):
    forms = writer.forms(())
    for _, suits in writer.PURPOSES:
        best = writer.best_for(forms, suits, gib * GIB)
        fitting = [one for one in forms if suits(one.entry) and one.needed_bytes <= 0.7 * gib * GIB]
        assert (best is None) is (fitting == [])
        if best is not None:
            sizes = [writer.parameter_count(one.entry) for one in fitting]
            assert best in fitting
            assert writer.parameter_count(best.entry) == max(sizes)


def test_a_variant_that_must_not_ship_is_never_recommended(writer: Any, tmp_path: Path):
    result = handmade.result(64, verdict=Verdict.DO_NOT_SHIP)
    system = result.variant.system.model_copy(update={"name": "moondream2-int8", "precision": "int8"})
    variant = result.variant.model_copy(update={"system": system})
    found = measured(writer, tmp_path, bad=result.model_copy(update={"variant": variant}))
    suits = dict(writer.PURPOSES)["captions, answers, places"]
    assert writer.best_for(writer.forms(()), suits, 4 * GIB).entry.name == "moondream2-int8"
    assert writer.best_for(writer.forms(found), suits, 4 * GIB) is None

from __future__ import annotations

import json
from pathlib import Path

import pytest

import handmade_validation as handmade
from smallsight.catalog.entry import Verdict
from smallsight.cli.compared_results import REGRESSION, compare_files
from smallsight.cli.output import begin_invocation, get_output


@pytest.fixture(autouse=True)
def no_flags_of_an_earlier_invocation() -> None:
    begin_invocation()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    results = {
        "old.json": handmade.result(40, verdict=Verdict.STABLE, loss=0.02),
        "new.json": handmade.result(40, verdict=Verdict.EXPERIMENTAL, loss=0.1),
    }
    for name, result in results.items():
        (tmp_path / name).write_text(result.model_dump_json(), encoding="utf-8")
    return tmp_path / "old.json", tmp_path / "new.json"


def test_a_regression_is_said_and_has_its_exit_code(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "120")
    assert compare_files(*files, get_output(json=False, quiet=True)) == REGRESSION
    printed = capsys.readouterr().out
    assert "Regression: verdict, quality, agreement, KL divergence." in printed
    line = next(one for one in printed.splitlines() if one.startswith("quality"))
    assert line.split()[-1] == "worse"
    assert "points" in line


def test_the_other_way_round_it_is_none(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    assert compare_files(files[1], files[0], get_output(json=True, quiet=True)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["is_regression"] is False
    assert {one["label"]: one["trend"] for one in found["changes"]}["quality"] == "better"

"""Measurements of models: kept, bounded, and never in the way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from smallsight.inventory.served_models import ServedModel
from smallsight.lending.measured_memory import Measured, MeasuredMemory

MODEL = ServedModel("m", "m", "int8", "auto", 0, None, False, 77, 0.0, "mark")


def test_measurements_outlive_the_run(tmp_path: Path):
    file = tmp_path / "home" / "measured-memory.json"
    first = MeasuredMemory(file)
    first.note_loading(MODEL, 100)
    first.note_loading(MODEL, 70)  # the newest counts
    first.note_answer(MODEL, 50, is_first=True)
    for num_bytes in (500, 1000, 700, 960):  # the largest counts, and fades
        first.note_answer(MODEL, num_bytes, is_first=False)
    first.save()
    again = MeasuredMemory(file)
    assert again.find(MODEL) == Measured(70, 50, 960)
    for other in ({"precision": "int4"}, {"files_mark": "changed"}, {"name": "n"}):
        assert again.find(replace(MODEL, **other)) == Measured()


def test_little_changes_are_not_written(tmp_path: Path):
    file = tmp_path / "measured-memory.json"
    measured = MeasuredMemory(file)
    for num_bytes, is_written in ((1000, True), (1010, False), (1100, True)):
        measured.note_loading(MODEL, num_bytes)
        file.unlink(missing_ok=True)
        measured.save()
        assert file.exists() == is_written


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"version": "0.0.1", "models": {}}', "{}", '{"version": "%s", "models": {"k": {"x": 1}}}'],
)
def test_a_damaged_file_says_nothing(tmp_path: Path, text: str):
    from smallsight.version import __version__

    file = tmp_path / "measured-memory.json"
    file.write_text(text.replace("%s", __version__))
    measured = MeasuredMemory(file)
    assert measured.find(MODEL) == Measured()
    measured.note_loading(MODEL, 1)
    measured.save()
    assert len(json.loads(file.read_text())["models"]) == 1


def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    measured = MeasuredMemory(blocked / "measured-memory.json")
    measured.note_loading(MODEL, 1)
    measured.save()
    assert measured.find(MODEL) == Measured(1, 0, 0)

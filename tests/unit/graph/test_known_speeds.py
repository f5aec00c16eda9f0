"""What is known of the speeds on this machine: others are kept beside it, damage is measured again."""

from __future__ import annotations

import json

import pytest

from smallsight.graph.known_speeds import (
    SpeedComparison,
    read_speeds,
    speeds_here,
    speeds_key,
    write_speeds,
)

KEY = speeds_key("build", 2, {"OPTION": "1"})


def test_what_was_measured_is_read_again(tmp_path):
    known = {"text": SpeedComparison(1e-3, 2e-3), "tiles": SpeedComparison(0.3, 0.1)}
    write_speeds(tmp_path, KEY, known)
    assert read_speeds(tmp_path, KEY) == known
    assert speeds_here(tmp_path) == known


@pytest.mark.parametrize(
    "other", [("newer build", 2, {"OPTION": "1"}), ("build", 1, {"OPTION": "1"}), ("build", 2, {})], ids=str
)
def test_another_build_number_of_threads_or_option_is_measured_again(tmp_path, other):
    write_speeds(tmp_path, KEY, {"text": SpeedComparison(1.0, 2.0)})
    assert read_speeds(tmp_path, speeds_key(*other)) == {}


def test_another_machine_that_shares_the_folder_is_not_this_one(tmp_path):
    path = tmp_path / "faster-code.json"
    write_speeds(tmp_path, KEY, {"text": SpeedComparison(1.0, 2.0)})
    stored = json.loads(path.read_text(encoding="utf-8"))
    key = json.dumps([json.loads(KEY)[0], "another processor", *json.loads(KEY)[2:]])
    path.write_text(json.dumps({key: stored[KEY]}), encoding="utf-8")
    assert speeds_here(tmp_path) == read_speeds(tmp_path, KEY) == {}


@pytest.mark.parametrize("content", ["[", "[]", '{"KEY": 3}', '{"KEY": {"text": {"extension_s": "x"}}}'])
def test_a_damaged_file_is_no_measurement(tmp_path, content):
    (tmp_path / "faster-code.json").write_text(content.replace('"KEY"', json.dumps(KEY)), encoding="utf-8")
    assert speeds_here(tmp_path) == read_speeds(tmp_path, KEY) == {}
    write_speeds(tmp_path, KEY, {"text": SpeedComparison(1.0, 2.0)})
    assert speeds_here(tmp_path)["text"].extension_is_faster


def test_a_near_tie_goes_to_the_extension():
    assert SpeedComparison(1.0, 0.95).extension_is_faster
    assert not SpeedComparison(1.0, 0.8).extension_is_faster

"""A person edits while an index run works; a second run has to wait."""

from __future__ import annotations

import json
import signal

import pytest


@pytest.mark.slow
def test_edits_are_stored_while_a_run_indexes(smallsight, draw_text, tmp_path, monkeypatch):
    for number in range(6):
        draw_text(tmp_path / "pictures" / f"{number:02}.png", f"picture {number}")
    draw_text(tmp_path / "known" / "a.png", "known before")
    with monkeypatch.context() as patch:
        patch.setenv("SMALLSIGHT_INDEX__OCR", "false")  # reading is for the run that the edits interrupt
        smallsight.run("index", tmp_path / "known")
    process = smallsight.start("index", tmp_path / "pictures", "--json")
    edits = 0
    while process.poll() is None:
        smallsight.run("edit", tmp_path / "known" / "a.png", "--tag", f"tag{edits}")
        edits += 1
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert json.loads(out)["complete"]
    assert edits > 1
    tags = smallsight.json("show", tmp_path / "known" / "a.png")["tags"]
    assert sorted(tags) == sorted(f"tag{number}" for number in range(edits))
    assert "a.png" in smallsight.run("search", "tag:tag0")[0]


@pytest.mark.slow
def test_a_second_run_and_a_change_of_folders_wait_for_the_first(smallsight, draw_text, tmp_path):
    for number in range(4):
        draw_text(tmp_path / "pictures" / f"{number:02}.png", f"picture {number}")
    process = smallsight.start("index", tmp_path / "pictures", "--json")
    lock = smallsight.home / "index.lock"
    while not lock.is_file() or not lock.read_text().endswith("\n"):
        assert process.poll() is None
    process.send_signal(signal.SIGSTOP)  # it holds the lock for as long as the others need
    for arguments in (("index",), ("folders", "remove", tmp_path / "pictures")):
        assert f"indexed by process {process.pid}" in smallsight.run(*arguments, code=6)[1]
    process.send_signal(signal.SIGCONT)
    process.communicate()
    assert process.returncode == 0

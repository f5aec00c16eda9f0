"""State files are replaced whole, and a damaged one is a sentence."""

from __future__ import annotations

import json
import threading

import pytest

from smallsight.catalog.state_file import locked_state, read_state, write_state
from smallsight.errors import SettingsError, StorageError


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "state.json"
    assert read_state(path) == {}
    write_state(path, {"a": [1, "ü"]})
    write_state(path, {"b": 2})
    assert read_state(path) == {"b": 2}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe", b""])
def test_a_damaged_file_names_itself(tmp_path, content):
    path = tmp_path / "state.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"state\.json cannot be read") as failed:
        read_state(path)
    assert "delete it" in failed.value.hint


def test_a_write_that_fails_keeps_the_old_file(tmp_path):
    path = tmp_path / "state.json"
    write_state(path, {"old": True})
    with pytest.raises(TypeError):
        write_state(path, {"new": object()})
    assert json.loads(path.read_text()) == {"old": True}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="could not be written"):
        write_state(tmp_path / "file" / "state.json", {})


def test_changes_of_many_at_once_are_all_kept(tmp_path):
    path = tmp_path / "new" / "state.json"

    def change(number):
        for step in range(5):
            with locked_state(path):
                write_state(path, {**read_state(path), f"{number}.{step}": True})

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_state(path)) == 40


def test_a_lock_that_another_holds_is_waited_for_and_then_a_sentence(tmp_path):
    path = tmp_path / "state.json"
    busy = pytest.raises(StorageError, match="being changed by another program")
    with locked_state(path), busy, locked_state(path, wait_s=0.05):
        pass
    with locked_state(path, wait_s=0):
        write_state(path, {"free": "again"})
    with pytest.raises(StorageError, match="could not be written"), locked_state(path / "below"):
        pass

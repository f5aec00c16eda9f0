"""Sessions: what is stored, how long they last, and how they end."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from smallsight.errors import SettingsError
from smallsight.http.sessions import IDLE_S, Sessions

DAY_S = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "page-sessions.json"


def test_a_token_is_stored_only_as_its_hash_and_outlives_a_restart(path: Path):
    token = Sessions(path).open("one", "192.0.2.7", "Firefox, Linux")
    assert len(token) >= 43
    assert token not in path.read_text()
    assert hashlib.sha256(token.encode()).hexdigest() in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = Sessions(path).find(token, {"one"})
    assert found is not None
    assert (found.address, found.browser) == ("192.0.2.7", "Firefox, Linux")


@pytest.mark.parametrize("token", ["", "x", "x" * 100_000, "é", "\udcff"])
def test_nothing_else_is_a_session(path: Path, token: str):
    sessions = Sessions(path)
    sessions.open("one", "", "")
    assert sessions.find(token, {"one"}) is None


def test_a_session_ends_with_its_password(path: Path):
    sessions = Sessions(path)
    token = sessions.open("one", "", "")
    assert sessions.find(token, {"two"}) is None
    assert sessions.all({"two"}) == []


def test_a_session_lasts_for_thirty_days_after_its_last_use(path: Path):
    clock = Clock()
    sessions = Sessions(path, clock)
    token = sessions.open("one", "", "")
    for _ in range(3):
        clock.now_s += IDLE_S - DAY_S
        found = sessions.find(token, {"one"})
        assert found is not None
        sessions.note_use(found)
    clock.now_s += IDLE_S
    assert sessions.find(token, {"one"}) is None


def test_use_is_written_once_an_hour(path: Path):
    clock = Clock()
    sessions = Sessions(path, clock)
    token = sessions.open("one", "", "")
    os.utime(path, ns=(1, 1))  # a file system may count time in steps of some milliseconds
    for _ in range(50):
        clock.now_s += 60
        found = sessions.find(token, {"one"})
        assert found is not None
        sessions.note_use(found)
    assert path.stat().st_mtime_ns == 1
    clock.now_s += 700
    found = sessions.find(token, {"one"})
    assert found is not None
    sessions.note_use(found)
    assert path.stat().st_mtime_ns > 1


def test_one_some_or_all_sessions_are_ended_in_every_process(path: Path):
    here, elsewhere = Sessions(path), Sessions(path)
    tokens = [here.open("one", "", str(number)) for number in range(4)]
    found = [elsewhere.find(token, {"one"}) for token in tokens]
    assert None not in found
    here.end(found[0].digest)
    assert elsewhere.find(tokens[0], "one") is None
    here.end_all(but=found[1].digest)
    assert [elsewhere.find(token, {"one"}) is not None for token in tokens] == [False, True, False, False]
    elsewhere.end_all()
    assert here.all({"one"}) == []


def test_the_oldest_of_many_sessions_make_room(path: Path):
    clock = Clock()
    sessions = Sessions(path, clock)
    tokens = []
    for _ in range(103):
        clock.now_s += 1
        tokens.append(sessions.open("one", "", ""))
    assert len(sessions.all({"one"})) == 100
    assert [sessions.find(token, {"one"}) is not None for token in tokens[:4]] == [False, False, False, True]


def test_a_damaged_file_opens_nothing_and_logging_in_begins_a_new_one(path: Path):
    path.write_text('{"sessions": [{"digest": 1}]}')
    sessions = Sessions(path)
    with pytest.raises(SettingsError, match="not a valid list of sessions"):
        sessions.all({"one"})
    token = sessions.open("one", "", "")
    assert sessions.find(token, {"one"}) is not None

"""The password of the pages: what is stored, and what a damaged or missing file means."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from smallsight.errors import ArgumentError, SettingsError
from smallsight.http.page_password import PagePassword

WORDS = "Wörter die nicht zusammengehören"
COMPOSED, DECOMPOSED = "caf\u00e9 caf\u00e9", "cafe\u0301 cafe\u0301"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "page-password.json"


def test_only_the_password_matches_and_only_its_scrypt_is_stored(path: Path):
    password = PagePassword(path)
    assert not password.is_on
    password.set(WORDS)
    assert password.is_on
    assert password.matches(WORDS)
    assert not password.matches(WORDS.lower())
    stored = json.loads(path.read_text())
    assert (stored["scrypt"]["n"], stored["scrypt"]["r"], stored["scrypt"]["p"]) == (2**15, 8, 3)
    assert WORDS not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_accents_match_however_a_keyboard_composes_them(path: Path):
    password = PagePassword(path)
    password.set(COMPOSED)
    assert password.matches(DECOMPOSED)


def test_another_process_sees_a_change_at_once_and_the_same_password_is_another_generation(path: Path):
    here, elsewhere = PagePassword(path), PagePassword(path)
    assert elsewhere.current() is None
    here.set(WORDS)
    first = elsewhere.current()
    here.set(WORDS)
    second = elsewhere.current()
    assert first is not None
    assert second is not None
    assert first.generation != second.generation


def test_a_removed_password_opens_the_pages_but_a_missing_file_does_not(path: Path):
    password = PagePassword(path)
    password.set(WORDS)
    path.unlink()
    assert (password.is_on, password.current(), password.matches(WORDS)) == (True, None, False)
    assert not PagePassword(path).remove()
    password.set(WORDS)
    assert PagePassword(path).remove()
    assert not password.is_on


@pytest.mark.parametrize(
    "change",
    [
        {"n": 2**40},
        {"n": 3},
        {"n": 1},
        {"r": 1000},
        {"p": 0},
        {"salt": "00"},
        {"digest": "00"},
        {"salt": "zz"},
        {"n": None},
    ],
    ids=str,
)
def test_a_damaged_file_lets_nobody_in_and_does_not_stop_the_server(path: Path, change: dict[str, object]):
    row = {"n": 2**15, "r": 8, "p": 3, "salt": "00" * 16, "digest": "00" * 32}
    path.parent.mkdir()
    path.write_text(json.dumps({"scrypt": row | change}))
    password = PagePassword(path)
    for _ in range(2):
        with pytest.raises(SettingsError, match="not a valid password file"):
            _ = password.is_on


@pytest.mark.parametrize("text", ["", "short", "x" * 1001])
def test_too_short_and_too_long_ones_are_refused(path: Path, text: str):
    with pytest.raises(ArgumentError, match="8 to 1,000 characters"):
        PagePassword(path).set(text)
    assert not path.exists()

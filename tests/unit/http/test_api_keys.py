from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from smallsight.errors import ArgumentError, SettingsError
from smallsight.http.api_keys import ApiKeys, Scope

BOTH = frozenset(Scope)


@pytest.fixture
def keys(tmp_path: Path) -> ApiKeys:
    return ApiKeys(tmp_path / "api-keys.json")


def test_a_key_is_found_and_not_kept(keys: ApiKeys, tmp_path: Path):
    key = keys.add("phone", frozenset({Scope.USE}))
    assert len(key) > 40
    assert key not in (tmp_path / "api-keys.json").read_text()
    found = keys.find(key)
    assert (found.name, found.scopes) == ("phone", {Scope.USE})
    for wrong in ("", key[:-1], key + "x", key.upper(), "ss-", "\udcff"):
        assert keys.find(wrong) is None


def test_keys_differ(keys: ApiKeys):
    assert len({keys.add(f"key {i}", BOTH) for i in range(20)}) == 20
    assert [key.name for key in keys.all()][:2] == ["key 0", "key 1"]


def test_another_process_sees_a_change(keys: ApiKeys, tmp_path: Path):
    other = ApiKeys(tmp_path / "api-keys.json")
    key = keys.add("phone", BOTH)
    assert other.find(key) is not None
    keys.remove("PHONE")
    assert other.find(key) is None
    (tmp_path / "api-keys.json").unlink()
    assert other.all() == ()


def test_only_this_user_may_read_the_file(keys: ApiKeys, tmp_path: Path):
    keys.add("phone", BOTH)
    assert (tmp_path / "api-keys.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["", " ", "a/b", "a\nb", "x" * 61])
def test_names_that_cannot_be_used(keys: ApiKeys, name: str):
    with pytest.raises(ArgumentError):
        keys.add(name, BOTH)


def test_a_name_is_used_once(keys: ApiKeys):
    keys.add("phone", BOTH)
    with pytest.raises(ArgumentError, match="A key called 'Phone' exists already"):
        keys.add("Phone", BOTH)
    with pytest.raises(ArgumentError, match="There is no key called 'tablet'"):
        keys.remove("tablet")


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"key": {}}', '{"keys": []}', '{"keys": {"a": {}}}', '{"keys": {"a": 5}}']
)
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, content: str):
    path = tmp_path / "api-keys.json"
    path.write_text(content)
    with pytest.raises(SettingsError):
        ApiKeys(path).all()


def test_what_was_seen_is_not_forgotten(tmp_path: Path):
    path = tmp_path / "api-keys.json"
    keys, later = ApiKeys(path), ApiKeys(path)
    assert (keys.all(), keys.has_seen_keys) == ((), False)
    ApiKeys(path).add("phone", BOTH)
    assert (len(keys.all()), keys.has_seen_keys) == (1, True)
    ApiKeys(path).remove("phone")
    assert (keys.all(), keys.has_seen_keys) == ((), True)
    assert (later.all(), later.has_seen_keys) == ((), False)  # the last one was removed before it looked
    path.write_text("{}")
    with pytest.raises(SettingsError):
        later.all()
    path.unlink()
    assert (later.all(), later.has_seen_keys) == ((), True)


def test_a_removed_key_does_not_come_back_with_another_that_is_added_meanwhile(tmp_path: Path):
    path = tmp_path / "api-keys.json"
    mine, theirs = ApiKeys(path), ApiKeys(path)
    mine.add("old", BOTH)
    assert len(mine.all()) == 1
    theirs.remove("old")
    mine.add("new", BOTH)
    assert [key.name for key in theirs.all()] == ["new"]


def test_keys_that_are_added_at_once_are_all_kept(tmp_path: Path):
    path = tmp_path / "api-keys.json"
    add = (
        "import sys; from pathlib import Path; from smallsight.http.api_keys import ApiKeys, Scope\n"
        "for number in range(3): ApiKeys(Path(sys.argv[1])).add(f'{sys.argv[2]} {number}', frozenset(Scope))"
    )
    programs = [subprocess.Popen([sys.executable, "-c", add, str(path), str(one)]) for one in range(6)]
    assert [program.wait(60) for program in programs] == [0] * 6
    assert len(ApiKeys(path).all()) == 18


def test_an_unknown_scope_is_a_damaged_file(keys: ApiKeys, tmp_path: Path):
    keys.add("phone", BOTH)
    path = tmp_path / "api-keys.json"
    data = json.loads(path.read_text())
    data["keys"]["phone"]["scopes"] = ["everything"]
    path.write_text(json.dumps(data))
    with pytest.raises(SettingsError):
        keys.all()

from __future__ import annotations

import json
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


@pytest.mark.parametrize("content", ["{", "[]", '{"keys": []}', '{"keys": {"a": {}}}', '{"keys": {"a": 5}}'])
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, content: str):
    path = tmp_path / "api-keys.json"
    path.write_text(content)
    with pytest.raises(SettingsError):
        ApiKeys(path).all()


def test_an_unknown_scope_is_a_damaged_file(keys: ApiKeys, tmp_path: Path):
    keys.add("phone", BOTH)
    path = tmp_path / "api-keys.json"
    data = json.loads(path.read_text())
    data["keys"]["phone"]["scopes"] = ["everything"]
    path.write_text(json.dumps(data))
    with pytest.raises(SettingsError):
        keys.all()

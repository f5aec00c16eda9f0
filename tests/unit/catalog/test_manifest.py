"""A pinned revision survives a restart, and nothing odd comes back from the file."""

from __future__ import annotations

import hashlib
import json

import pytest

from smallsight.catalog.manifest import PinnedRevision, Pins, RemoteFile, is_commit
from smallsight.errors import DownloadError, SettingsError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILE = RemoteFile("config.json", 3, "git-sha1", "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f")
PINNED = PinnedRevision(COMMIT, (FILE, RemoteFile("model.safetensors", 5, "sha256", "ab" * 32)))


def test_a_pin_is_remembered_per_revision(tmp_path):
    path = tmp_path / "revisions.json"
    Pins(path).record("org/model", "main", PINNED)
    assert Pins(path).get("org/model", "main") == PINNED
    assert Pins(path).get("org/model", "2025-01-09") is None
    assert PINNED.size_bytes == 8


def test_forgetting_leaves_the_others(tmp_path):
    pins = Pins(tmp_path / "revisions.json")
    pins.record("org/a", "main", PINNED)
    pins.record("org/b", "main", PINNED)
    pins.forget("org/a", "main")
    pins.forget("org/never", "main")
    assert pins.get("org/a", "main") is None
    assert pins.get("org/b", "main") == PINNED


@pytest.mark.parametrize(
    "row",
    [
        {"commit": COMMIT},
        {"commit": "../../etc", "files": []},
        {"commit": COMMIT, "files": [{"path": "x"}]},
        {
            "commit": COMMIT,
            "files": [{"path": "x", "size_bytes": 1, "algorithm": "sha256", "digest": "../x"}],
        },
        {"commit": COMMIT, "files": 7},
        7,
    ],
)
def test_a_tampered_file_is_refused(tmp_path, row):
    path = tmp_path / "revisions.json"
    path.write_text(json.dumps({"org/model@main": row}))
    with pytest.raises(SettingsError, match="org/model"):
        Pins(path).get("org/model", "main")


def test_the_hasher_of_a_small_file_gives_the_name_git_gives_it():
    hasher = FILE.hasher()
    hasher.update(b"abc")
    assert (
        hasher.hexdigest() == "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f"
    )  # printf abc | git hash-object --stdin


def test_the_hasher_of_a_large_file_is_sha256():
    file = RemoteFile("w", 3, "sha256", hashlib.sha256(b"abc").hexdigest())
    hasher = file.hasher()
    hasher.update(b"abc")
    assert hasher.hexdigest() == file.digest


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [("sha256", "ab"), ("sha256", "AB" * 32), ("git-sha1", "../../x"), ("md5", "ab" * 16)],
)
def test_an_invalid_digest_is_refused(algorithm, digest):
    with pytest.raises(DownloadError, match="invalid digest for"):
        RemoteFile("config.json", 1, algorithm, digest)


@pytest.mark.parametrize("text", ["main", "", COMMIT.upper(), COMMIT[:-1], COMMIT + "\n"])
def test_only_a_full_hash_is_a_commit(text):
    assert is_commit(COMMIT)
    assert not is_commit(text)

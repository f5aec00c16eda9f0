from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from smallsight.catalog.file_hashes import file_sha256


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def with_times_of(path: Path, times: os.stat_result) -> Path:
    """Give a file the times of another, as ``cp -p``, ``rsync -t`` and unpacked archives do."""
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return path


def test_without_notes_the_file_is_read_each_time(path: Path):
    assert file_sha256(path, None) == sha256(b"one")
    path.write_bytes(b"two")
    assert file_sha256(path, None) == sha256(b"two")


def test_with_notes_the_file_is_read_once(path: Path, tmp_path: Path):
    notes = tmp_path / "new" / "notes"
    assert file_sha256(path, notes) == sha256(b"one")
    (note_path,) = notes.iterdir()
    note_path.write_text(note_path.read_text().replace(sha256(b"one"), sha256(b"from the note")))
    assert file_sha256(path, notes) == sha256(b"from the note")


def test_a_replacement_of_the_same_size_and_time_is_seen(path: Path, tmp_path: Path):
    """A new download in the place of the old one, and a file that is written over."""
    before = path.stat()
    file_sha256(path, tmp_path / "notes")
    other = tmp_path / "other"
    other.write_bytes(b"two")
    with_times_of(other, before).replace(path)
    assert file_sha256(path, tmp_path / "notes") == sha256(b"two")
    path.write_bytes(b"six")
    with_times_of(path, before)
    assert file_sha256(path, tmp_path / "notes") == sha256(b"six")


@pytest.mark.parametrize("content", [b"longer", b"two"])
def test_a_change_of_size_or_time_is_seen(path: Path, tmp_path: Path, content: bytes):
    file_sha256(path, tmp_path / "notes")
    path.write_bytes(content)
    os.utime(path, ns=(0, 5))
    assert file_sha256(path, tmp_path / "notes") == sha256(content)


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"{}", b'{"sha256": 5}', b"\xff"])
def test_a_damaged_note_is_replaced(path: Path, tmp_path: Path, note: bytes):
    notes = tmp_path / "notes"
    file_sha256(path, notes)
    (note_path,) = notes.iterdir()
    note_path.write_bytes(note)
    assert file_sha256(path, notes) == sha256(b"one")
    assert sha256(b"one").encode() in note_path.read_bytes()


def test_notes_that_cannot_be_written_are_logged_and_harmless(path: Path):
    with capture_logs() as logs:
        assert file_sha256(path, path / "notes") == sha256(b"one")
    assert [entry["event"] for entry in logs] == ["hash_not_remembered"]


def test_a_file_that_is_not_there_is_an_oserror(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        file_sha256(tmp_path / "none", tmp_path)

"""What is created for this user only, under the umask that most systems have."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smallsight.machine.private_files import create_private_file, is_open_to_others, make_private_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a user's folders private")


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_what_is_missing_is_made_private_and_what_exists_is_left(tmp_path: Path):
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "a" / "b")
    make_private_folder(tmp_path / "a" / "b")
    assert [one.stat().st_mode & 0o777 for one in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")] == [
        0o755,
        0o700,
        0o700,
    ]
    path = tmp_path / "a" / "file"
    create_private_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("kept")
    create_private_file(path)
    assert path.read_text() == "kept"


def test_who_may_read(tmp_path: Path):
    make_private_folder(tmp_path / "mine")
    assert not is_open_to_others(tmp_path / "mine")
    assert not is_open_to_others(tmp_path / "missing")
    (tmp_path / "mine").chmod(0o750)
    assert is_open_to_others(tmp_path / "mine")

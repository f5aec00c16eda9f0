"""Which pictures are measured, and the hash that identifies them."""

from __future__ import annotations

import pytest

from smallsight.settings import Limits
from smallsight.validation.picture_set import read_picture_set

LIMITS = Limits()


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(bytes([number]))
    return tmp_path


def read(folder, most=64, also=()):
    names = [path.name for path in folder.iterdir()]
    return read_picture_set(folder, [*names, *also], LIMITS, most=most)


def test_a_large_folder_is_represented_evenly(folder):
    chosen = read(folder, most=3)
    assert [one.name for one in chosen.readable] == ["0.png", "2.png", "4.png"]
    assert chosen.num_in_folder == 6


def test_a_picture_counts_once(folder):
    (folder / "copy of 0.png").write_bytes(b"\0")
    assert len(read(folder).readable) == 6


def test_a_file_that_cannot_be_read_does_not_stop_the_others(folder):
    found = read(folder, also=["absent.png"])
    assert len(found.readable) == 6
    (absent,) = found.unreadable
    assert (absent.name, absent.sha256) == ("absent.png", "")
    assert "no such file" in absent.problem


def test_the_hash_depends_on_bytes_and_question_but_not_on_names(folder):
    before = read(folder).digest("What is it?")
    (folder / "0.png").rename(folder / "z.png")
    assert read(folder).digest("What is it?") == before
    assert read(folder).digest("Why?") != before
    (folder / "z.png").write_bytes(b"other")
    assert read(folder).digest("What is it?") != before

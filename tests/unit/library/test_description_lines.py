from __future__ import annotations

import json
from pathlib import Path

import pytest

from smallsight.errors import ArgumentError, LibraryBusyError, StorageError
from smallsight.library.description_lines import DescriptionLines

REQUEST = {"model": "test", "prompt": None}


def row(path: str, error: str | None = None) -> dict[str, object]:
    return {"path": path, "text": None if error else "words", "error": error, "sha256": "ab" * 32}


def write(file: Path, *rows: dict[str, object]) -> None:
    with DescriptionLines(file, REQUEST) as lines:
        for one in rows:
            lines.append(one)


def paths(file: Path) -> list[str]:
    return [json.loads(line)["path"] for line in file.read_text().splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "captions.jsonl"


def test_a_picture_is_known_by_path_bytes_and_request(file: Path):
    write(file, row("/a.png"))
    with DescriptionLines(file, REQUEST) as lines:
        assert lines.holds("/a.png", "ab" * 32)
        assert not lines.holds("/a.png", "cd" * 32)
        assert not lines.holds("/b.png", "ab" * 32)
    with DescriptionLines(file, {**REQUEST, "prompt": "What?"}) as lines:
        assert not lines.holds("/a.png", "ab" * 32)


@pytest.mark.parametrize("cut", [1, 2, 5, 30, 70])
@pytest.mark.parametrize("zeros", [0, 100], ids=["killed", "power cut"])
def test_the_beginning_of_a_last_line_is_removed(file: Path, cut: int, zeros: int):
    write(file, row("/a.png"), row("/b.png"))
    data = file.read_bytes()
    last = data.index(b"\n") + 1
    file.write_bytes(data[: max(len(data) - cut, last)] + b"\0" * zeros)
    with DescriptionLines(file, REQUEST) as lines:
        is_whole = cut == 1 and not zeros  # only the line break was lost
        assert lines.holds("/b.png", "ab" * 32) == is_whole
        if not is_whole:
            lines.append(row("/b.png"))
        lines.append(row("/c.png"))
    assert paths(file) == ["/a.png", "/b.png", "/c.png"]


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n",
        b"a sentence without an end",
        b'{"path": 1, "sha256": null}\n',
        b'{"path": "/a.png", "sha256": null}\n{"other": 1}\n',
        b'{"path": "/a.png", "sha256": null}\nwords',
        b"[]\n",
    ],
    ids=range(6),
)
def test_a_file_of_something_else_stays_as_it_is(file: Path, content: bytes):
    file.write_bytes(content)
    with pytest.raises(ArgumentError, match="not from `describe --jsonl`"):
        DescriptionLines(file, REQUEST)
    assert file.read_bytes() == content


def test_failed_pictures_are_tried_again_only_on_request(file: Path):
    write(file, row("/a.png"), row("/b.png", "damaged"), row("/c.png"))
    with DescriptionLines(file, REQUEST) as lines:
        assert lines.holds("/b.png", "ab" * 32)
    with DescriptionLines(file, REQUEST, retries_failed=True) as lines:
        assert not lines.holds("/b.png", "ab" * 32)
        assert lines.holds("/c.png", "ab" * 32)
        lines.append(row("/b.png"))
    assert paths(file) == ["/a.png", "/c.png", "/b.png"]
    assert list(file.parent.iterdir()) == [file]


def test_errors_of_another_request_stay(file: Path):
    write(file, row("/b.png", "damaged"))
    DescriptionLines(file, {**REQUEST, "prompt": "What?"}, retries_failed=True).close()
    assert paths(file) == ["/b.png"]


def test_two_processes_do_not_write_to_one_file(file: Path):
    with (
        DescriptionLines(file, REQUEST, retries_failed=True),
        pytest.raises(LibraryBusyError, match="Another process"),
    ):
        DescriptionLines(file, REQUEST)


def test_what_cannot_be_a_file_of_lines_is_a_sentence(tmp_path: Path):
    with pytest.raises(StorageError, match="cannot be written"):
        DescriptionLines(tmp_path / "nowhere" / "a.jsonl", REQUEST)
    with pytest.raises(StorageError, match="cannot be written"):
        DescriptionLines(tmp_path, REQUEST)
    with pytest.raises(ArgumentError, match="Not a regular file"):
        DescriptionLines(Path("/dev/null"), REQUEST)


def test_a_picture_may_be_known_by_its_bytes_alone(file: Path):
    with DescriptionLines(file, REQUEST, by_content=True) as lines:
        lines.append(row("/a.png"))
        assert lines.holds("/b.png", "ab" * 32)
        assert not lines.holds("/a.png", "cd" * 32)


def test_a_known_line_is_found_again(file: Path):
    write(file, row("/a.png"), row("/b.png", "damaged"), row("/c.png"))
    with DescriptionLines(file, REQUEST, retries_failed=True) as lines:
        lines.append(row("/d.png"))
        found = [lines.find(path, "ab" * 32) for path in ("/a.png", "/b.png", "/c.png", "/d.png")]
    assert [one and one["path"] for one in found] == ["/a.png", None, "/c.png", "/d.png"]


def test_a_line_that_another_program_has_changed_is_reported(file: Path):
    with DescriptionLines(file, REQUEST) as lines:
        lines.append(row("/a.png"))
        file.write_bytes(b"x" + file.read_bytes()[1:])
        with pytest.raises(StorageError, match="Another program has changed this file"):
            lines.find("/a.png", "ab" * 32)

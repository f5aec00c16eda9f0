"""Backups of a library in use restore equal; checks find what is wrong; emptied files are not begun again."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from smallsight.errors import LibraryDamagedError, LibraryMissingError, StorageError
from smallsight.library.backup import back_up, check_copy, check_files, check_library
from smallsight.library.database import Database


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def fill(database: Database, num: int, start: int = 0) -> None:
    with database.writing() as connection:
        for number in range(start, start + num):
            connection.exec_driver_sql(
                "INSERT INTO content (id, sha256, size_bytes, format) VALUES (?, ?, 1, 'PNG')",
                (number, f"{number:064x}"),
            )
            connection.exec_driver_sql(
                "INSERT INTO search_text (content_id, name, folder, tags, description, ocr, filters) "
                "VALUES (?, ?, '', '', 'cat sofa', '', '')",
                (number, f"picture{number}"),
            )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "library.sqlite3"


def test_a_backup_restores_equal_and_is_private(path: Path, tmp_path: Path):
    with Database.open_for_writing(path) as database:
        fill(database, 200)
        target = tmp_path / "a backup"
        assert back_up(path, target) == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert dump(target) == dump(path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a backup", "home"]
    restored = tmp_path / "elsewhere" / "library.sqlite3"
    restored.parent.mkdir()
    restored.write_bytes(target.read_bytes())
    with Database.open_for_writing(restored) as database:
        fill(database, 5, start=1000)
    assert check_library(restored) == []


def test_backups_under_load_are_each_a_state_that_existed(path: Path, tmp_path: Path):
    """The writer commits pairs; a backup with an odd number would be half of a transaction."""
    stop = threading.Event()
    with Database.open_for_writing(path) as database:

        def write() -> None:
            number = 0
            while not stop.is_set():
                fill(database, 2, start=number)
                number += 2

        writer = threading.Thread(target=write)
        writer.start()
        try:
            numbers = []
            while len(numbers) < 5 or numbers[-1] == numbers[0]:
                target = tmp_path / f"{len(numbers)}.backup"
                back_up(path, target)
                with closing(sqlite3.connect(target)) as connection:
                    numbers.append(connection.execute("SELECT count(*) FROM content").fetchone()[0])
                    indexed = "SELECT count(*) FROM search_index WHERE search_index MATCH 'sofa'"
                    assert connection.execute(indexed).fetchone()[0] == numbers[-1]
                time.sleep(0.05)
        finally:
            stop.set()
            writer.join()
    assert all(number % 2 == 0 for number in numbers)
    assert numbers == sorted(numbers)


def test_a_backup_never_replaces_a_file(path: Path, tmp_path: Path):
    Database.open_for_writing(path).close()
    target = tmp_path / "precious"
    target.write_text("mine")
    with pytest.raises(StorageError, match="There is a file already"):
        back_up(path, target)
    assert target.read_text() == "mine"
    with pytest.raises(StorageError, match="Cannot write"):
        back_up(path, tmp_path / "no such folder" / "a")
    with pytest.raises(LibraryMissingError):
        back_up(tmp_path / "library.sqlite3", tmp_path / "b")


def damage(path: Path, what: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(what)
        connection.commit()


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        (
            "INSERT INTO content_tag (content_id, tag_id) VALUES (1, 99)",
            "names a row of tag that is not there",
        ),
        ("DROP TRIGGER search_text_removed", None),
        (
            """INSERT INTO search_index (search_index, rowid, name, folder, tags, description, ocr, filters)
               VALUES ('delete', 3, 'picture3', '', '', 'cat sofa', '', '')""",
            "search_index does not match the texts",
        ),
    ],
)
def test_problems_of_a_library_are_named(path: Path, tmp_path: Path, what: str, problem: str | None):
    with Database.open_for_writing(path) as database:
        fill(database, 10)
    damage(path, what)
    found = check_library(path)
    assert [problem in one for one in found] == [True] if problem else found == []
    if problem:
        with pytest.raises(LibraryDamagedError, match="not backed up"):
            back_up(path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists() or problem is None
    assert [one.name for one in path.parent.iterdir() if "check" in one.name] == []


def test_a_damaged_page_is_found(path: Path):
    with Database.open_for_writing(path) as database:
        fill(database, 500)
        with database.reading() as connection:
            is_it = "SELECT rootpage FROM sqlite_master WHERE name = 'content'"
            page = 4096 * (connection.exec_driver_sql(is_it).scalar_one() - 1)
    data = bytearray(path.read_bytes())
    data[page : page + 4096] = os.urandom(4096)
    path.write_bytes(data)
    assert check_library(path)[0].startswith("integrity: ")
    assert check_copy(path)


def test_missing_files_are_listed(path: Path, tmp_path: Path):
    with Database.open_for_writing(path) as database:
        fill(database, 2)
        with database.writing() as connection:
            connection.exec_driver_sql(
                "INSERT INTO folder VALUES (1, ?, 0, 0)", (str(tmp_path / "pictures"),)
            )
            for number in (0, 1):
                connection.exec_driver_sql(
                    "INSERT INTO picture (folder_id, path, size_bytes, mtime_ns, content_id, seen_at_s) "
                    "VALUES (1, ?, 1, 1, ?, 0)",
                    (f"{number}.png", number),
                )
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures" / "0.png").touch()
        found = check_files(database, path.parent / "thumbnails")
    assert [Path(one).name for one in found.pictures] == ["1.png"]
    assert len(found.thumbnails) == 2


def emptied(path: Path, how: str) -> None:
    path.with_name("thumbnails").mkdir()
    (path.with_name("thumbnails") / "00").mkdir()
    if how == "no bytes":
        path.write_bytes(b"")
    elif how == "no tables":
        path.unlink()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA user_version = 1")
    else:
        path.with_name("thumbnails").joinpath("00").rmdir()
        path.write_bytes(b"")
        path.with_name(f"{path.name}-wal").write_bytes(b"pages")


@pytest.mark.parametrize("how", ["no bytes", "no tables", "a log beside it"])
def test_an_emptied_library_is_not_begun_again(path: Path, tmp_path: Path, how: str):
    Database.open_for_writing(path).close()
    emptied(path, how)
    for attempt in (
        lambda: Database.open_for_writing(path),
        lambda: Database.open_for_reading(path),
        lambda: back_up(path, tmp_path / "copy"),
        lambda: check_library(path),
    ):
        with pytest.raises(LibraryDamagedError, match="is empty, and it was not before") as raised:
            attempt()
        assert "restore a backup" in str(raised.value)
    size_bytes = path.stat().st_size
    assert size_bytes in (0, 4096)
    path.unlink()  # as the hint says
    path.with_name(f"{path.name}-wal").unlink(missing_ok=True)
    Database.open_for_writing(path).close()
    assert check_library(path) == []


def test_a_new_library_after_a_crash_before_its_first_table_begins(path: Path):
    path.parent.mkdir()
    path.touch()
    Database.open_for_writing(path).close()
    assert check_library(path) == []

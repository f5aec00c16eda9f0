"""Lists of the whole library are read once, and again after a commit of anybody."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from smallsight.library.database import Database
from smallsight.library.remembered_lists import RememberedLists
from smallsight.library.schema import folder


def _paths(database: Database) -> list[str]:
    with database.cursor() as cursor:
        return [row[0] for row in cursor.execute("SELECT path FROM folder ORDER BY path")]


def _add(database: Database, path: str) -> None:
    with database.writing() as connection:
        connection.execute(folder.insert().values(path=path, added_at_s=0.0))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "library.sqlite3"


def test_a_list_is_read_once_until_another_connection_commits(path: Path):
    num_reads = 0
    with Database.open_for_writing(path) as writer, Database.open_for_reading(path) as reader:
        lists = RememberedLists(reader)

        def read() -> list[str]:
            nonlocal num_reads
            num_reads += 1
            return _paths(reader)

        assert lists.get("folders", read, may_lag=False) == []
        assert lists.get("folders", read, may_lag=False) == []
        assert num_reads == 1
        _add(writer, "/a")
        assert lists.get("folders", read, may_lag=False) == ["/a"]
        assert num_reads == 2


def test_a_list_that_takes_long_lags_behind_while_the_library_changes(path: Path):
    with Database.open_for_writing(path) as writer, Database.open_for_reading(path) as reader:
        lists = RememberedLists(reader)

        def read() -> list[str]:
            time.sleep(0.5)  # read again after 5 s at the earliest
            return _paths(reader)

        lists.get("folders", read)
        _add(writer, "/a")
        assert lists.get("folders", read) == []
        assert lists.get("folders", read, may_lag=False) == ["/a"]


def test_only_the_lists_used_last_are_kept(path: Path):
    with Database.open_for_writing(path):
        pass
    with Database.open_for_reading(path) as reader:
        lists = RememberedLists(reader)
        for number in range(100):
            assert lists.get(number, lambda: "first") == "first"
        assert lists.get(99, lambda: "second") == "first"
        assert lists.get(0, lambda: "second") == "second"

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from smallsight.library.database import Database
from smallsight.library.exporting.placement import CaptionNames, Placement
from smallsight.library.exporting.reading import read_some
from smallsight.library.exporting.record import ExportedFile
from smallsight.library.schema import content, folder, picture
from smallsight.library.search.searcher import Mode, Searcher
from smallsight.library.search.sqlite.facets import refresh_index
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.settings import Settings

ROOT = Path("/p")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def database(settings: Settings):
    with Database.open_for_writing(settings.database_path) as opened:
        yield opened


def add(database: Database, names: Sequence[str]) -> None:
    """Add pictures with these paths, all of different bytes."""
    with database.writing() as connection:
        connection.execute(folder.insert().values(id=1, path=str(ROOT), added_at_s=0))
        for number, name in enumerate(names, start=1):
            connection.execute(content.insert().values(id=number, sha256=f"{number:064}", size_bytes=1))
            connection.execute(
                picture.insert().values(
                    folder_id=1, path=name, size_bytes=1, mtime_ns=0, content_id=number, seen_at_s=time.time()
                )
            )
        refresh_index(connection, range(1, len(names) + 1))


@pytest.mark.parametrize(
    ("names", "captions"),
    [
        (["a.jpg", "b.jpg", "c/a.jpg"], ["a.txt", "b.txt", "a.txt"]),
        (["a.jpg", "a.png", "b.jpg"], ["a.jpg.txt", "a.png.txt", "b.txt"]),
        (["A.jpg", "a.png"], ["A.jpg.txt", "a.png.txt"]),
        (["é.jpg", "e\u0301.png"], ["é.jpg.txt", "e\u0301.png.txt"]),
        (["a.jpg", "a.png", "a.jpg.webp"], ["a.jpg.txt", "a.png.txt", "a.jpg.webp.txt"]),
        (["a", "a.jpg"], ["a.txt", "a.jpg.txt"]),
        (["a", "b.c.jpg"], ["a.txt", "b.c.txt"]),
        (["a.txt.jpg", "a.jpg"], ["a.txt.txt", "a.txt"]),
    ],
    ids=range(8),
)
def test_no_two_pictures_share_a_caption(database: Database, names: list[str], captions: list[str]):
    add(database, names)
    named = CaptionNames(database)
    assert [named.name_of(ExportedFile(ROOT, name)) for name in names] == captions


def test_pictures_that_are_gone_share_nothing(database: Database):
    add(database, ["a.jpg", "a.png"])
    with database.writing() as connection:
        connection.execute(sa.update(picture).where(picture.c.path == "a.png").values(vanished_at_s=1.0))
    assert CaptionNames(database).name_of(ExportedFile(ROOT, "a.jpg")) == "a.txt"


def test_folders_of_the_same_name_are_apart():
    folders = [Path("/x/Pictures"), Path("/y/pictures"), Path("/z/Other"), Path("/")]
    placement = Placement(folders, Path("/out"))
    found = [str(placement.folder_of(ExportedFile(one, "a/b.jpg"))) for one in folders]
    assert found == ["/out/Pictures/a", "/out/pictures-2/a", "/out/Other/a", "/out/root/a"]
    assert Placement(folders, None).folder_of(ExportedFile(folders[0], "a/b.jpg")) == Path("/x/Pictures/a")


def test_a_search_for_an_export_finds_more_than_a_thousand(database: Database, settings: Settings):
    number = 1_300
    add(database, [f"zebra/{one}.png" for one in range(number)])
    searcher = Searcher(SqliteTextIndex(database), settings)
    for query in ("zebra", "folder:zebra", ""):
        ids = searcher.find_all(query, mode=Mode.KEYWORD)
        assert sorted(ids) == list(range(1, number + 1))
    records = list(read_some(database, searcher.find_all("folder:zebra")))
    assert [record.files[0].below for record in records[:2]] == ["zebra/1299.png", "zebra/1298.png"]
    assert len(records) == number

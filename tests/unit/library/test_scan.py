from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from quiet_progress import QuietProgress
from smallsight.errors import FolderError, FolderMissingError, SmallsightError
from smallsight.library.database import Database
from smallsight.library.ledger import forget_failures
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan, ScanReport
from smallsight.library.schema import content, picture
from smallsight.settings import Limits, Settings

Draw = Callable[..., Path]


class Recorder(QuietProgress):
    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []

    def problem(self, path: str, error: SmallsightError) -> None:
        self.problems.append((path, error.code))


@pytest.fixture
def scan(database: Database, library: Library, settings: Settings, pictures: Path):
    def run(
        root: Path = pictures,
        should_stop: Callable[[], bool] = lambda: False,
        recorder: Recorder | None = None,
    ) -> ScanReport:
        known = library.add_folder(root)
        return FolderScan(database, settings, known.id, known.path).run(recorder or Recorder(), should_stop)

    return run


def places(database: Database) -> dict[str, tuple[int, int | None, bool]]:
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(picture.c.path, picture.c.id, picture.c.content_id, picture.c.vanished_at_s)
        )
        return {row[0]: (row[1], row[2], row[3] is not None) for row in rows}


def indexed_names(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(connection.exec_driver_sql("SELECT name FROM search_text").scalars())


def test_new_files_are_added_with_their_content(database: Database, draw: Draw, scan):
    first, twin = draw("a.png"), draw("below/b.png")
    other = draw("c.png", colour=(0, 0, 200))
    report = scan()
    assert (report.found, report.added, report.hashed, report.is_complete) == (3, 3, 3, True)
    found = places(database)
    assert found["a.png"][1] == found["below/b.png"][1] != found["c.png"][1]
    with database.reading() as connection:
        hashes = set(connection.execute(sa.select(content.c.sha256)).scalars())
    assert hashes == {hashlib.sha256(path.read_bytes()).hexdigest() for path in (first, twin, other)}


def test_unchanged_files_are_not_opened_again(draw: Draw, scan):
    draw("a.png")
    scan()
    report = scan()
    assert (report.found, report.hashed, report.added) == (1, 0, 0)


def test_a_changed_file_gets_its_new_content(database: Database, draw: Draw, scan):
    draw("a.png")
    scan()
    before = places(database)["a.png"]
    path = draw("a.png", colour=(0, 200, 0))
    os.utime(path, ns=(1, 1))
    report = scan()
    after = places(database)["a.png"]
    assert (report.changed, report.added) == (1, 0)
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_moved_file_keeps_its_row_and_its_content(database: Database, draw: Draw, pictures: Path, scan):
    path = draw("a.png")
    scan()
    before = places(database)["a.png"]
    (pictures / "new").mkdir()
    shutil.move(path, pictures / "new" / "renamed.png")
    report = scan()
    assert (report.moved, report.added, report.vanished) == (1, 0, 0)
    assert places(database) == {"new/renamed.png": before}
    assert all("renamed" in name for name in indexed_names(database))


def test_a_vanished_file_is_marked_and_leaves_the_search_until_it_returns(
    database: Database, draw: Draw, pictures: Path, tmp_path: Path, scan
):
    path = draw("a.png")
    draw("b.png", colour=(1, 2, 3))
    scan()
    shutil.move(path, tmp_path / "elsewhere.png")
    assert scan().vanished == 1
    assert places(database)["a.png"][2]
    assert len(indexed_names(database)) == 1
    assert scan().vanished == 0
    shutil.move(tmp_path / "elsewhere.png", path)
    scan()
    assert not places(database)["a.png"][2]
    assert len(indexed_names(database)) == 2


def test_a_folder_that_is_gone_is_an_error_and_marks_nothing(
    database: Database, draw: Draw, pictures: Path, settings: Settings, library: Library, scan
):
    draw("a.png")
    scan()
    known = library.folders()[0]
    pictures.rename(pictures.with_name("unplugged"))
    with pytest.raises(FolderError, match="folder is missing"):
        FolderScan(database, settings, known.id, known.path).run(Recorder(), lambda: False)
    assert not places(database)["a.png"][2]


def test_an_empty_folder_that_held_pictures_is_a_disk_that_is_not_connected(
    database: Database, draw: Draw, pictures: Path, settings: Settings, library: Library, scan
):
    draw("a.png")
    scan()
    known = library.folders()[0]
    pictures.rename(pictures.with_name("unplugged"))
    pictures.mkdir()
    with pytest.raises(FolderMissingError, match="is empty, and it held 1 pictures"):
        FolderScan(database, settings, known.id, known.path).run(Recorder(), lambda: False)
    assert not places(database)["a.png"][2]
    (pictures / "notes.txt").write_text("the disk is here")
    scan()
    assert places(database)["a.png"][2]


def test_files_on_disk_are_never_touched(draw: Draw, pictures: Path, scan):
    for number in range(5):
        draw(f"{number}.png", colour=(number, 0, 0))

    def state() -> list[tuple[str, bytes, int]]:
        return [(p.name, p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(pictures.rglob("*.png"))]

    before = state()
    scan()
    scan()
    assert state() == before


def test_an_unreadable_file_is_told_and_kept_apart(
    database: Database, library: Library, settings: Settings, draw: Draw, pictures: Path
):
    draw("good.png")
    (pictures / "huge.jpg").write_bytes(b"\xff\xd8" * 2000)
    small = settings.model_copy(update={"limits": Limits(max_file_bytes=2000)})
    known = library.add_folder(pictures)
    recorder = Recorder()
    report = FolderScan(database, small, known.id, known.path).run(recorder, lambda: False)
    assert report.unreadable == 1
    assert recorder.problems == [("huge.jpg", "picture_too_large")]
    assert places(database)["huge.jpg"][1] is None
    assert FolderScan(database, small, known.id, known.path).run(recorder, lambda: False).hashed == 0


def test_stopping_keeps_what_was_done_and_marks_nothing_as_gone(
    database: Database, draw: Draw, pictures: Path, scan
):
    path = draw("a.png")
    scan()
    path.unlink()
    for number in range(100):
        draw(f"{number:03}.png", colour=(number, 0, 0))
    calls = iter(range(1000))
    report = scan(should_stop=lambda: next(calls) > 70)
    assert not report.is_complete
    assert 0 < len(places(database)) - 1 < 100
    assert not places(database)["a.png"][2]
    assert scan().is_complete
    assert len(places(database)) == 101


def test_a_folder_below_a_known_one_is_part_of_it(draw: Draw, pictures: Path, library: Library, scan):
    draw("below/a.png")
    scan()
    assert library.add_folder(pictures / "below").path == pictures
    assert len(library.folders()) == 1


def test_a_folder_above_known_ones_takes_them_in(
    database: Database, draw: Draw, pictures: Path, library: Library, scan
):
    draw("one/a.png")
    draw("two/deep/b.png", colour=(1, 1, 1))
    scan(pictures / "one")
    scan(pictures / "two")
    before = {path.rsplit("/", 1)[-1]: row for path, row in places(database).items()}
    report = scan(pictures)
    assert (report.added, report.hashed, report.vanished) == (0, 0, 0)
    assert places(database) == {"one/a.png": before["a.png"], "two/deep/b.png": before["b.png"]}
    assert [known.path for known in library.folders()] == [pictures]


@pytest.mark.parametrize("name", ["missing", "file.png"])
def test_what_is_no_folder_is_refused(name: str, draw: Draw, pictures: Path, library: Library):
    draw("file.png")
    with pytest.raises(FolderError):
        library.add_folder(pictures / name)


def test_a_file_that_could_not_be_read_is_tried_in_each_scan_and_reported_once(
    database: Database, library: Library, settings: Settings, draw: Draw, pictures: Path
):
    """Rights, limits and disks change without the file's size and date: chmod changes neither."""
    draw("good.png")
    path = draw("large.png")
    path.write_bytes(path.read_bytes() + b"\0" * 4000)
    small = settings.model_copy(update={"limits": Limits(max_file_bytes=4000)})
    known = library.add_folder(pictures)
    recorder = Recorder()
    for _ in range(3):
        report = FolderScan(database, small, known.id, known.path).run(recorder, lambda: False)
    assert recorder.problems == [("large.png", "picture_too_large")]
    assert (report.hashed, report.unreadable, report.found) == (0, 0, 2)
    smaller = settings.model_copy(update={"limits": Limits(max_file_bytes=3000)})  # another reason
    FolderScan(database, smaller, known.id, known.path).run(recorder, lambda: False)
    assert len(recorder.problems) == 2
    with database.writing() as connection:
        forget_failures(connection)
    FolderScan(database, smaller, known.id, known.path).run(recorder, lambda: False)
    assert len(recorder.problems) == 3

    report = FolderScan(database, settings, known.id, known.path).run(recorder, lambda: False)
    assert (report.hashed, report.changed, report.unreadable) == (1, 1, 0)
    assert places(database)["large.png"][1] is not None
    assert indexed_names(database) == {"good png", "large png"}
    assert FolderScan(database, settings, known.id, known.path).run(recorder, lambda: False).hashed == 0
    assert len(recorder.problems) == 3


def test_a_picture_that_cannot_be_read_for_a_while_comes_back_with_its_content(
    database: Database, library: Library, settings: Settings, draw: Draw, pictures: Path
):
    path = draw("a.png")
    known = library.add_folder(pictures)
    small = settings.model_copy(update={"limits": Limits(max_file_bytes=10)})
    contents = []
    for used in (settings, small, settings):
        FolderScan(database, used, known.id, known.path).run(Recorder(), lambda: False)
        contents.append(places(database)["a.png"][1])
        os.utime(path, ns=(1_700_000_000_000_000_000,) * 2)  # before the second and third alike
    assert contents[0] is not None
    assert contents == [contents[0], None, contents[0]]

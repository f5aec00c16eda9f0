"""A scan of a part of a folder leaves the rest as it is, and follows files between the two."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from quiet_progress import ChangeFeed
from smallsight.errors import FolderError, FolderMissingError
from smallsight.library.scan import FolderScan
from smallsight.library.scan_parts import ScanParts
from smallsight.library.schema import picture, sidecar
from smallsight.library.walk import list_pictures


@pytest.fixture
def scan(database, library, settings, pictures):
    def run(*parts, feed=None, **options):
        known = library.add_folder(pictures)
        chosen = {"parts": ScanParts(parts)} if parts else {}
        one = FolderScan(database, settings, known.id, known.path, **chosen, **options)
        return one.run(feed or ChangeFeed(), lambda: False)

    return run


@pytest.fixture
def rows(database):
    def read():
        with database.reading() as connection:
            found = connection.execute(sa.select(picture.c.path, picture.c.id, picture.c.vanished_at_s))
            return {row[0]: (row[1], row[2] is None) for row in found}

    return read


def test_only_the_part_is_listed_and_only_there_files_vanish(scan, rows, draw):
    files = [
        draw(f"{folder}/{n}.png", colour=(n, 0, len(folder))) for folder in ("in", "out") for n in (1, 2)
    ]
    scan()
    draw("in/deep/new.png", colour=(9, 9, 9))
    draw("out/new.png", colour=(8, 8, 8))
    files[0].unlink()
    files[2].unlink()
    report = scan("in")
    assert (report.found, report.added, report.vanished) == (2, 1, 1)
    assert {path: here for path, (_, here) in rows().items()} == {
        "in/1.png": False,
        "in/2.png": True,
        "in/deep/new.png": True,
        "out/1.png": True,
        "out/2.png": True,
    }
    assert scan().vanished == 1


def test_a_part_can_be_one_file_or_what_is_gone(scan, rows, draw):
    draw("a/1.png")
    draw("a/2.png", colour=(0, 9, 0))
    assert scan("a/1.png").added == 1
    assert set(rows()) == {"a/1.png"}
    scan()
    shutil.rmtree(draw("a/1.png").parent)
    draw("a.png", colour=(0, 0, 9))  # "a/" and "a.png" differ although one begins the other
    assert scan("a").vanished == 2
    assert "a.png" not in rows()


@pytest.mark.parametrize(("first", "second"), [("in", "out"), ("out", "in")])
def test_a_file_that_moves_between_the_part_and_the_rest_keeps_its_row(
    scan, rows, draw, pictures, first, second
):
    draw(f"{first}/moving.png")
    draw("in/stays.png", colour=(0, 9, 0))
    draw("out/stays.png", colour=(0, 0, 9))
    scan()
    before = rows()[f"{first}/moving.png"][0]
    (pictures / first / "moving.png").rename(pictures / second / "moved.png")
    reports = [scan("in"), scan("out")]
    assert rows()[f"{second}/moved.png"] == (before, True)
    assert f"{first}/moving.png" not in rows()
    assert sum(report.moved for report in reports) == 1
    assert sum(report.added for report in reports) == 0
    assert scan().moved == 0


def test_a_copy_into_the_part_takes_no_row_of_a_file_that_is_still_there(scan, rows, draw, pictures):
    shutil.copy(draw("out/a.png"), pictures / "other.png")
    scan()
    before = rows()
    (pictures / "in").mkdir()
    shutil.copy(pictures / "out/a.png", pictures / "in/copy.png")
    feed = ChangeFeed()
    report = scan("in", feed=feed)
    assert (report.added, report.moved) == (1, 0)
    assert {path: rows()[path] for path in before} == before
    assert [change[1:] for change in feed.changes] == [("copy.png", "added")]


def test_what_keeps_a_whole_scan_out_keeps_a_scan_of_a_part_out(scan, draw, pictures, tmp_path):
    draw("hidden/.cache/deep/a.png")
    draw("silent/deep/b.png")
    (pictures / "silent" / ".nomedia").touch()
    shutil.copytree(pictures / "silent" / "deep", tmp_path / "elsewhere")
    (pictures / "link").symlink_to(tmp_path / "elsewhere")
    draw("c.png")
    scan("hidden/.cache/deep")
    parts = ("hidden/.cache/deep", "silent/deep", "silent/deep/b.png", "link", "link/b.png")
    for part in parts:
        assert scan(part).found == 0
    assert scan("c.png", "silent").found == 1


def test_a_listing_of_all_folders_one_by_one_is_the_listing_of_the_whole(draw, pictures):
    for name in ("a/1.png", "a/b/2.png", "c/3.png", "4.png"):
        draw(name)
    (pictures / "a" / "notes.txt").touch()
    (pictures / "a" / "1.png.xmp").touch()
    options = {"exclude": (), "follow_symlinks": False, "wants_sidecars": True}
    whole = list_pictures(pictures, **options)
    parts = [list_pictures(pictures, parts=ScanParts([part]), **options) for part in ("a", "c", "4.png")]
    assert sorted(f.path for one in parts for f in one.files) == sorted(f.path for f in whole.files)
    assert {path: files for one in parts for path, files in one.sidecars.items()} == whole.sidecars
    assert {k: v for one in parts for k, v in one.passed.items()} == dict(whole.passed)


def test_a_part_that_is_a_sidecar_is_read_for_its_picture(scan, database, draw, pictures):
    draw("a/photo.png")
    draw("a/other.png", colour=(0, 9, 0))
    scan()

    def known_sidecars():
        with database.reading() as connection:
            return list(connection.execute(sa.select(sidecar.c.name)).scalars())

    beside = pictures / "a" / "photo.png.json"
    beside.write_text(json.dumps({"title": "photo.png", "description": "a lake"}))
    report = scan("a/photo.png.json")
    assert (report.found, report.sidecars_read) == (1, 1)
    assert known_sidecars() == ["photo.png.json"]
    beside.unlink()
    scan("a/other.png")
    assert known_sidecars() == ["photo.png.json"]
    scan("a/photo.png.json")
    assert known_sidecars() == []


def test_an_empty_folder_is_missing_for_its_parts_too(scan, rows, draw, pictures):
    draw("a/1.png")
    scan()
    shutil.rmtree(pictures / "a")
    with pytest.raises(FolderMissingError, match="held 1 pictures"):
        scan("a")
    assert rows()["a/1.png"][1]


def test_a_file_that_is_not_settled_waits_and_is_not_gone(scan, rows, draw):
    path = draw("a.png")
    scan()
    path.write_bytes(path.read_bytes()[:40])
    os.utime(path, ns=(1, 1))
    draw("b.png", colour=(0, 9, 0))
    report = scan(is_settled=lambda _, found: found.path != "a.png")
    assert (report.unsettled, report.added, report.changed, report.vanished) == (["a.png"], 1, 0, 0)
    assert scan().changed == 1


def test_more_parts_than_conditions_are_filtered_too(scan, rows, draw, pictures):
    for number in range(130):
        draw(f"in/{number}.png", colour=(number, 0, 0), size=8)
    draw("out/a.png")
    scan()
    (pictures / "out/a.png").unlink()
    (pictures / "in/0.png").unlink()
    report = scan(*(f"in/{number}.png" for number in range(130)))
    assert (report.found, report.vanished) == (129, 1)


def test_where_a_path_is_scanned(library, draw, pictures, tmp_path):
    inside = draw("a/1.png")
    with pytest.raises(FolderError, match="in no folder of the library"):
        library.add_for_scan(inside)
    assert library.add_for_scan(pictures)[1] == ""
    assert library.add_for_scan(pictures / "a") == (library.folders()[0], "a")
    assert library.add_for_scan(inside) == (library.folders()[0], "a/1.png")
    outside = tmp_path / "outside.png"
    outside.touch()
    (pictures / "link.png").symlink_to(outside)
    assert library.add_for_scan(pictures / "link.png")[1] == "link.png"
    with pytest.raises(FolderError, match="No such folder"):
        library.add_for_scan(Path(pictures, "nothing"))


def test_copies_in_a_renamed_folder_keep_their_rows_too(scan, rows, draw, pictures):
    shutil.copy(draw("a/1.png"), pictures / "a/2.png")
    scan()
    before = {number for number, _ in rows().values()}
    (pictures / "a").rename(pictures / "b")
    report = scan("a", "b")
    assert (report.moved, report.added, report.vanished) == (2, 0, 0)
    assert {path: here for path, (_, here) in rows().items()} == {"b/1.png": True, "b/2.png": True}
    assert {number for number, _ in rows().values()} == before


def test_the_data_folder_is_left_out_wherever_it_is(scan, rows, draw, pictures, database, library, settings):
    inside = settings.model_copy(update={"home": pictures / "data"})
    draw("data/thumbnails/a.png")
    draw("more/data/a.png")
    known = library.add_folder(pictures)
    report = FolderScan(database, inside, known.id, known.path).run(ChangeFeed(), lambda: False)
    assert report.passed == {"excluded": ["data/"]}
    assert set(rows()) == {"more/data/a.png"}

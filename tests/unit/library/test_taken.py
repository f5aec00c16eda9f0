"""Dates, cameras and places of indexed pictures: from metadata and sidecars, from kin, or from the file."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handmade_metadata import xmp_packet
from quiet_progress import QuietProgress
from smallsight.library.cameras import CameraCount, list_cameras
from smallsight.library.database import Database
from smallsight.library.indexer import Indexer
from smallsight.library.library import Library
from smallsight.library.local_time import iso_text, local_wall
from smallsight.library.migrations import NEWEST
from smallsight.library.read_files import ReadFiles
from smallsight.library.scan import FolderScan
from smallsight.library.search.query import parse_query
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.library.timeline import month_offset, months

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
MTIME_S = 1_600_000_000

LATER_TABLES = (  # than revision 0006
    *("picture_vector", "picture_vector_deletions"),
    *("facet", "month_count", "saved_search", "description_version", "description_run_content"),
    *(
        "description_run",
        "look_alike",
        "alike_pair",
        "duplicate_decision",
        "ignored_file",
        "ignored",
        "validation",
    ),
)


class NoText:
    """Reads nothing: a picture's pixels are compared as they are given to a reader."""

    key = "nothing-1"
    num_at_once = 1

    def read(self, image_HWC):  # noqa: ARG002
        return []


def scene(seed: int) -> Image.Image:
    """Return a smooth picture with a structure of its own, as photos have."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)


def picture(path: Path, seed: int = 0, *, taken: str | None = None, zone: str = "", gps: bool = False, **how):
    """Write a picture whose pixels depend on the seed, with a date and a camera in its EXIF or without."""
    image = scene(seed)
    exif = Image.Exif()
    if taken is not None:
        exif[271], exif[272] = "Google", "Pixel 8"
        exif.get_ifd(EXIF_IFD)[0x9003] = taken
        if zone:
            exif.get_ifd(EXIF_IFD)[0x9011] = zone
    if gps:
        exif.get_ifd(GPS_IFD).update({1: "N", 2: (48.0, 30.0, 0.0), 3: "W", 4: (2.0, 15.0, 0.0)})
    image.save(path, exif=exif, **how)
    os.utime(path, (MTIME_S, MTIME_S))
    return path


def xmp_with(taken: str) -> bytes:
    space = 'xmlns:exif="http://ns.adobe.com/exif/1.0/"'
    return xmp_packet(f"<exif:DateTimeOriginal {space}>{taken}</exif:DateTimeOriginal>")


@pytest.fixture
def index(database, settings, library, pictures):
    def run() -> None:
        known, files = library.add_folder(pictures), ReadFiles()
        FolderScan(database, settings, known.id, known.path, files).run(QuietProgress(), lambda: False)
        means = Means(database, settings, reader=NoText())
        Indexer(database, settings, list_stages(means), files).run(QuietProgress(), lambda: False)

    return run


@pytest.fixture
def shown(library):
    return lambda path: library.details(library.find_content(path))


@pytest.fixture
def date_of(shown):
    """Return the date and its origin, as text."""

    def read(path: Path) -> tuple[str, str | None]:
        found = shown(path)
        return iso_text(found.date_wall_s, found.date_offset_min), found.date_origin

    return read


def test_metadata_gives_the_date_the_camera_and_the_place(index, shown, date_of, pictures, database):
    photo = picture(pictures / "a.jpg", taken="2023:05:03 23:30:00", zone="-07:00", gps=True)
    plain = picture(pictures / "b.png", 1)
    index()
    assert date_of(photo) == ("2023-05-03T23:30:00-07:00", "exif")
    found = shown(photo)
    assert (found.camera, found.place, found.kind) == ("Google Pixel 8", (48.5, -2.25), "photo")
    assert (shown(plain).camera, shown(plain).place, shown(plain).kind) == (None, None, "picture")
    assert list_cameras(database) == [CameraCount("Google Pixel 8", 1)]
    assert months(database)[0] == (2023, 5, 1)


def test_the_oldest_file_gives_the_date_where_metadata_has_none(index, date_of, pictures, database):
    path = picture(pictures / "a.png")
    copy = pictures / "copy.png"
    copy.write_bytes(path.read_bytes())
    os.utime(copy, (MTIME_S - 86_400, MTIME_S - 86_400))
    index()
    older, newer = (iso_text(local_wall(MTIME_S - back)[0]) for back in (86_400, 0))
    assert date_of(path) == (older, None)
    copy.unlink()
    index()
    assert date_of(path) == (newer, None)
    os.utime(path, (MTIME_S + 5, MTIME_S + 5))
    index()
    assert date_of(path) == (iso_text(local_wall(MTIME_S + 5)[0]), None)
    picture(pictures / "b.png", 1)
    path.unlink()
    index()
    assert sum(one.num_pictures for one in months(database)) == 1


def test_sidecars_correct_dates_and_takeout_fills_them_in(index, date_of, pictures):
    dated = picture(pictures / "a.jpg", taken="2023:05:03 10:11:12")
    plain = picture(pictures / "b.png", 1)
    for path in (dated, plain):
        takeout = path.with_name(f"{path.name}.supplemental-metadata.json")
        takeout.write_text(json.dumps({"title": path.name, "photoTakenTime": {"timestamp": "1000000000"}}))
    index()
    wall_s, offset_min = local_wall(1_000_000_000)
    assert date_of(dated) == ("2023-05-03T10:11:12", "exif")
    assert date_of(plain) == (iso_text(wall_s, offset_min), "takeout")
    sidecar = pictures / "a.jpg.xmp"
    sidecar.write_bytes(xmp_with("1999-12-31T23:59:59+01:00"))
    index()
    assert date_of(dated) == ("1999-12-31T23:59:59+01:00", "xmp")
    sidecar.unlink()
    index()
    assert date_of(dated) == ("2023-05-03T10:11:12", "exif")


def test_a_copy_without_metadata_has_the_date_of_the_same_picture(index, shown, date_of, pictures):
    stripped = picture(pictures / "stripped.png")
    index()
    assert date_of(stripped)[1] is None
    original = picture(pictures / "original.png", taken="2023:05:03 10:11:12", gps=True)
    index()
    assert date_of(original) == ("2023-05-03T10:11:12", "exif")
    assert date_of(stripped) == ("2023-05-03T10:11:12", "kin")
    later = picture(pictures / "later.png", compress_level=1)
    index()
    assert date_of(later) == ("2023-05-03T10:11:12", "kin")
    assert shown(later).camera == "Google Pixel 8"
    other = picture(pictures / "other.png", 3)
    index()
    assert date_of(other)[1] is None


def test_a_picture_saved_again_without_metadata_keeps_its_date(index, date_of, pictures):
    path = picture(pictures / "a.jpg", taken="2023:05:03 10:11:12")
    index()
    picture(path, quality=40)
    index()
    assert date_of(path) == ("2023-05-03T10:11:12", "kin")
    picture(path, taken="2024:01:01 00:00:00", quality=50)
    index()
    assert date_of(path) == ("2024-01-01T00:00:00", "exif")
    picture(path, 3)
    index()
    assert date_of(path)[1] is None


def test_frames_and_pages_decide_the_kind(index, shown, pictures):
    frames = [scene(seed) for seed in range(3)]
    kinds = {"a.gif": "animation", "b.tif": "document", "c.webp": "animation", "d.png": "animation"}
    for name in kinds:
        frames[0].save(pictures / name, save_all=True, append_images=frames[1:])
    one = frames[0].copy()
    one.save(pictures / "e.tif")
    index()
    assert {name: shown(pictures / name).kind for name in kinds} == kinds
    assert shown(pictures / "e.tif").kind == "picture"


@pytest.fixture
def in_zone(monkeypatch):
    def change(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()


def test_file_dates_are_in_the_zone_of_this_machine_with_summer_time(in_zone):
    summer, winter = (datetime(2023, month, 1, 12, tzinfo=UTC).timestamp() for month in (7, 1))
    in_zone("Europe/Berlin")
    assert [iso_text(*local_wall(one)) for one in (summer, winter)] == [
        "2023-07-01T14:00:00+02:00",
        "2023-01-01T13:00:00+01:00",
    ]
    in_zone("Asia/Kathmandu")
    assert iso_text(*local_wall(winter)) == "2023-01-01T17:45:00+05:45"
    assert local_wall(1e300) == (1e300, None)


def test_months_are_counted_and_found_in_the_order_of_the_newest(index, pictures, database):
    dates = ["2023:05:31 23:59:59", "2023:05:01 00:00:00", "2023:06:01 00:00:00", "1953:12:31 23:59:59"]
    for number, date in enumerate(dates):
        picture(pictures / f"{number}.jpg", number, taken=date)
    index()
    assert months(database) == [(2023, 6, 1), (2023, 5, 2), (1953, 12, 1)]
    assert months(database, parse_query("before:2023-06", 99)) == [(2023, 5, 2), (1953, 12, 1)]
    assert months(database, parse_query("-on:2023-05-31 camera:pixel", 99)) == [
        (2023, 6, 1),
        (2023, 5, 1),
        (1953, 12, 1),
    ]
    assert [
        month_offset(database, *one) for one in ((2024, 1), (2023, 6), (2023, 5), (1953, 12), (1, 1))
    ] == [*(0, 0, 1, 3, 4)]
    (pictures / "2.jpg").unlink()
    index()
    assert months(database) == [(2023, 5, 2), (1953, 12, 1)]


def test_an_old_library_has_dates_of_files_until_it_is_indexed_again(
    index, date_of, pictures, settings, database
):
    photo = picture(pictures / "IMG 10.jpg", taken="2023:05:03 10:11:12")
    gone = picture(pictures / "gone.png", 2)
    index()
    gone.unlink()
    index()
    database.close()
    with closing(sqlite3.connect(settings.database_path)) as connection:
        expected = connection.execute("SELECT * FROM facet").fetchall()
        for name in LATER_TABLES:
            connection.execute(f"DROP TABLE {name}")
        connection.execute("ALTER TABLE tag DROP COLUMN colour")
        connection.execute("ALTER TABLE content_tag DROP COLUMN suggested_by")
        for name in (
            "taken_wall_s",
            "taken_offset_min",
            "taken_origin",
            "camera",
            "latitude",
            "longitude",
            "colours",
            "duration_s",
            "still_s",
        ):
            connection.execute(f"ALTER TABLE content DROP COLUMN {name}")
        connection.execute("UPDATE content SET file_words = NULL")
        connection.execute("UPDATE outcome SET key = 'metadata-1' WHERE stage = 'metadata'")
        connection.execute("UPDATE alembic_version SET version_num = '0006'")
        connection.commit()
    with Database.open_for_writing(settings.database_path) as migrated:
        with migrated.cursor() as cursor:
            assert cursor.execute("SELECT version_num FROM alembic_version").fetchone()[0] == NEWEST
            facets = cursor.execute("SELECT * FROM facet").fetchall()
        library = Library(migrated)
        found = library.details(library.find_content(photo))
        assert (found.date_wall_s, found.date_origin) == (local_wall(MTIME_S)[0], None)
        assert sum(one.num_pictures for one in months(migrated)) == 1
        known, files = library.add_folder(pictures), ReadFiles()
        FolderScan(migrated, settings, known.id, known.path, files).run(QuietProgress(), lambda: False)
        stages = list_stages(Means(migrated, settings, reader=NoText()))
        Indexer(migrated, settings, stages, files).run(QuietProgress(), lambda: False)
        with migrated.cursor() as cursor:
            assert cursor.execute("SELECT * FROM facet").fetchall() == expected
        same = [at for at in range(len(expected[0])) if at not in (1, 2, 6, 7)]  # not date, kind, camera
        assert [[row[at] for at in same] for row in facets] == [[row[at] for at in same] for row in expected]


def test_the_place_is_not_in_what_is_shown_without_asking(index, pictures, settings):
    from smallsight.services.picture_library import open_library

    photo = picture(pictures / "a.jpg", taken="2023:05:03 10:11:12", gps=True)
    index()
    with open_library(settings=settings) as opened:
        info = opened.details(photo)
        assert info.place == (48.5, -2.25)
        assert "48.5" not in repr(info)
        found = opened.search("year:2023", mode="keyword")
        assert (found[0].taken.isoformat(), found[0].camera) == ("2023-05-03T10:11:12", "Google Pixel 8")
        assert (found[0].date_origin, found[0].kind, found[0].format) == ("exif", "photo", "JPEG")
        assert found[0].size_bytes == photo.stat().st_size
        assert not opened.search("year:2022", mode="keyword")

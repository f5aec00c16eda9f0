"""Dates, cameras and places on the command line: searched, sorted, shown and exported."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from forked_commands import run_command
from smallsight.cli.completion import search_filters
from smallsight.library.local_time import iso_text, local_wall

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
DRAWN_S = 1_000_000_000
DRAWN = iso_text(local_wall(DRAWN_S)[0])
Run = Callable[..., str]


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos with dates, one of them with a place, and a drawing without metadata."""
    folder = tmp_path_factory.mktemp("album")
    for number, taken in enumerate(("2023:05:31 23:59:59", "2023:06:01 00:00:00")):
        exif = Image.Exif()
        exif[271], exif[272] = "Canon", f"Canon EOS R{number}"
        exif.get_ifd(EXIF_IFD).update({0x9003: taken, 0x9011: "+02:00"})
        if number:
            exif.get_ifd(GPS_IFD).update({1: "S", 2: (33.0, 51.0, 24.0), 3: "E", 4: (151.0, 12.0, 54.0)})
        Image.new("RGB", (20 + number, 20), "red").save(folder / f"photo {number}.jpg", exif=exif)
    Image.new("RGB", (20, 30), "blue").save(folder / "drawing.png")
    os.utime(folder / "drawing.png", (DRAWN_S, DRAWN_S))
    return folder


@pytest.fixture(scope="module")
def environment(album: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("home")
    settings = {"SMALLSIGHT_HOME": str(home), "SMALLSIGHT_INDEX__OCR": "false"}
    return {**os.environ, **settings, "COLUMNS": "200"}


@pytest.fixture(scope="module")
def run(album: Path, environment: dict[str, str]) -> Run:
    def run_one(*arguments: str | Path) -> str:
        code, out, err = run_command([*map(str, arguments)], environment)
        assert code == 0, err
        return out

    run_one("index", album, "--quiet")
    return run_one


def names(out: str) -> list[str]:
    return [Path(line).stem for line in out.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("year:2023", "--sort", "oldest"), ["photo 0", "photo 1"]),
        (("after:2023-06",), ["photo 1"]),
        (("before:2023-06", "--sort", "newest"), ["photo 0", "drawing"]),
        (("photo", "--sort", "newest"), ["photo 1", "photo 0"]),
        (("photo", "camera:r0"), ["photo 0"]),
        (("-kind:photo",), ["drawing"]),
        (("is:untagged", "--sort", "name"), ["drawing", "photo 0", "photo 1"]),
    ],
)
def test_searches_are_filtered_and_sorted(run: Run, arguments, found):
    assert names(run("search", "--mode", "keyword", "--paths", *arguments)) == found


def test_a_hit_and_a_record_have_date_camera_and_kind(run: Run):
    (hit,) = json.loads(run("search", "photo", "camera:r1", "--json"))
    expected = {"taken": "2023-06-01T00:00:00+02:00", "date_origin": "exif", "camera": "Canon EOS R1"}
    assert expected.items() <= hit.items()
    (record,) = map(json.loads, run("export", "camera:r1", "--quiet").splitlines())
    assert (expected | {"kind": "photo"}).items() <= record.items()
    (drawing,) = map(json.loads, run("export", "kind:picture", "--quiet").splitlines())
    assert (drawing["taken"], drawing["date_origin"]) == (DRAWN, None)


def test_show_marks_the_date_of_a_file(run: Run, album: Path):
    shown = run("show", album / "drawing.png")
    assert f"{DRAWN.replace('T', ' ')} (date of the file)" in shown
    shown = run("show", album / "photo 0.jpg")
    assert "2023-05-31 23:59:59 +02:00" in shown
    assert "Canon EOS R0" in shown
    assert "date of the file" not in shown


def test_places_are_printed_only_when_they_are_asked_for(run: Run, album: Path):
    photo = album / "photo 1.jpg"
    asked = [
        run("show", photo, "--place"),
        run("show", photo, "--place", "--json"),
        run("export", "--places", "--quiet"),
        run("export", "--places", "--format", "csv", "--quiet"),
    ]
    silent = [
        run("show", photo),
        run("show", photo, "--json"),
        run("search", "photo", "--json"),
        run("export", "--quiet"),
        run("export", "--format", "csv", "--quiet"),
    ]
    assert all("33.856" in out and "151.215" in out for out in asked)
    assert not any("33.856" in out or "atitude" in out for out in silent)
    rows = csv.DictReader(io.StringIO(asked[-1].lstrip("\ufeff")))
    assert sorted(row["latitude"] for row in rows) == ["", "", "-33.8566667"]


def test_an_export_is_sorted(run: Run):
    rows = run("export", "is:untagged", "--sort", "oldest", "--quiet").splitlines()
    assert [Path(json.loads(row)["path"]).stem for row in rows] == ["drawing", "photo 0", "photo 1"]


def test_completion_offers_filters_and_cameras(run: Run, environment, monkeypatch):
    assert run("search", "photo", "--paths")
    monkeypatch.setenv("SMALLSIGHT_HOME", environment["SMALLSIGHT_HOME"])
    kinds = ["photo", "picture", "animation", "video", "document"]
    assert search_filters("ki") == [f"kind:{kind}" for kind in kinds]
    assert search_filters("camera:Can") == ['camera:"Canon EOS R0"', 'camera:"Canon EOS R1"']
    assert "year:" in search_filters("y")
    assert search_filters("") == []

"""What people wrote into files is a person's words, and follows the files until somebody edits it here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from handmade_metadata import xmp_of
from quiet_progress import QuietProgress
from smallsight.library.indexer import Indexer
from smallsight.library.lost_words import list_lost_words
from smallsight.library.read_files import ReadFiles
from smallsight.library.scan import FolderScan, ScanReport
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.library.version_keeping import DescriptionMaker
from smallsight.settings import Settings


class OneModel:
    """Describes every picture in the same words, and counts."""

    key, maker, sees_videos = "one-1", DescriptionMaker("one"), False

    def __init__(self) -> None:
        self.num_described = 0

    def describe(self, pictures):
        for _ in pictures:
            self.num_described += 1
            yield "a machine's words"


def write_picture(path: Path, seed: int = 0, packet: bytes | None = None) -> Path:
    """Write a PNG whose pixels depend on the seed alone, with or without XMP."""
    info = PngInfo()
    if packet is not None:
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
    Image.effect_mandelbrot((64, 64), (-2, -1.5 - seed / 10, 1, 1.5), 20).save(path, pnginfo=info)
    return path


def sidecar_of(path: Path, packet: bytes) -> Path:
    sidecar = path.with_name(f"{path.name}.xmp")
    sidecar.write_bytes(packet)
    return sidecar


def takeout_of(path: Path, description: str) -> Path:
    sidecar = path.with_name(f"{path.name}.supplemental-metadata.json")
    sidecar.write_text(json.dumps({"title": path.name, "photoTakenTime": {}, "description": description}))
    return sidecar


@pytest.fixture
def model() -> OneModel:
    return OneModel()


@pytest.fixture
def index(database, settings, library, pictures, model):
    def run(*, describes: bool = False) -> ScanReport:
        known, files = library.add_folder(pictures), ReadFiles()
        report = FolderScan(database, settings, known.id, known.path, files).run(
            QuietProgress(), lambda: False
        )
        means = Means(database, settings, describer=model if describes else None)
        Indexer(database, settings, list_stages(means), files).run(QuietProgress(), lambda: False)
        return report

    return run


@pytest.fixture
def shown(library):
    def details(path: Path):
        return library.details(library.find_content(path))

    return details


def edit(library, path: Path, **changes):
    return library.edit(library.find_content(path), **changes)


def test_metadata_is_a_persons_words_with_its_origin(pictures, index, shown, database):
    path = write_picture(pictures / "a.png", packet=xmp_of("Am Meer", ["море", "猫"]))
    index()
    found = shown(path)
    assert (found.description, found.description_source) == ("Am Meer", "human")
    assert found.description_origin == "xmp:dc:description"
    assert found.tags == ("море", "猫")
    assert set(found.tag_origins.values()) == {"xmp:dc:subject"}
    assert found.machine_tags == ()
    with database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM search_text WHERE description LIKE '%meer%'")
        assert rows.scalar() == 1


def test_sidecars_go_before_metadata_and_takeout_follows(pictures, index, shown):
    path = write_picture(pictures / "a.png", packet=xmp_of("embedded", ["one", "two"]))
    takeout = takeout_of(path, "takeout")
    index()
    assert (shown(path).description, shown(path).description_origin) == ("takeout", f"takeout:{takeout.name}")
    sidecar_of(path, xmp_of("sidecar", ["Two", "three"]))
    report = index()
    assert (report.sidecars, report.sidecars_read, report.hashed) == (2, 1, 0)
    assert "other_files" not in report.passed
    found = shown(path)
    assert (found.description, found.description_origin) == ("sidecar", "sidecar:a.png.xmp")
    assert {name.lower() for name in found.tags} == {"one", "two", "three"}


def test_changes_of_a_sidecar_are_noticed_without_reading_the_picture(pictures, index, shown):
    path = write_picture(pictures / "a.png")
    assert index().sidecars == 0
    sidecar = sidecar_of(path, xmp_of("first", ["old"]))
    assert index().hashed == 0
    assert (shown(path).description, shown(path).tags) == ("first", ("old",))
    sidecar.write_bytes(xmp_of("the second", ["new"]))
    os.utime(sidecar, ns=(1, 1))
    assert (index().sidecars_read, index().sidecars_read) == (1, 0)
    assert (shown(path).description, shown(path).tags) == ("the second", ("new",))
    sidecar.unlink()
    index()
    assert (shown(path).description, shown(path).description_source, shown(path).tags) == (None, None, ())


def test_a_model_does_not_replace_words_of_files_and_returns_when_they_are_gone(
    pictures, index, shown, model
):
    path = write_picture(pictures / "a.png", packet=xmp_of("embedded"))
    other = write_picture(pictures / "b.png", 1)
    index(describes=True)
    assert (shown(path).description, shown(other).description) == ("embedded", "a machine's words")
    assert model.num_described == 1
    sidecar = sidecar_of(other, xmp_of("a person's"))
    index(describes=True)
    assert (shown(other).description, shown(other).description_model) == ("a person's", None)
    sidecar.unlink()
    index(describes=True)
    assert (shown(other).description, model.num_described) == ("a machine's words", 2)


def test_an_edit_here_wins_over_later_changes_in_the_file(pictures, index, shown, library):
    path = write_picture(pictures / "a.png")
    sidecar = sidecar_of(path, xmp_of("from the file", ["kept"]))
    index()
    edit(library, path, description="mine", tags_added=("kept",))
    assert (shown(path).description_origin, dict(shown(path).tag_origins)) == (None, {})
    sidecar.write_bytes(xmp_of("changed in the file"))
    index()
    assert (shown(path).description, shown(path).tags) == ("mine", ("kept",))


def test_what_was_removed_here_stays_removed(pictures, index, shown, library):
    path = write_picture(pictures / "a.png", packet=xmp_of("from the file", ["gone", "kept"]))
    index()
    edit(library, path, description="", tags_removed=("Gone",))
    sidecar = sidecar_of(path, xmp_of("from the file", ["gone", "more"]))
    index()
    assert (shown(path).description, shown(path).tags) == (None, ("kept", "more"))
    write_picture(path, packet=xmp_of("from the file", ["gone", "rated"]))  # another program saved it
    index()
    assert (shown(path).description, shown(path).tags) == (None, ("more", "rated"))
    sidecar.write_bytes(xmp_of("a new caption"))
    index()
    assert shown(path).description == "a new caption"


def test_another_file_with_the_same_pixels_has_its_own_words(pictures, index, shown, library):
    first = write_picture(pictures / "a.png", packet=xmp_of("the first", ["one"]))
    second = write_picture(pictures / "b.png", packet=xmp_of("the second", ["two"]))
    plain = write_picture(pictures / "c.png")
    index()
    assert [(shown(path).description, shown(path).tags) for path in (first, second, plain)] == [
        ("the first", ("one",)),
        ("the second", ("two",)),
        (None, ()),
    ]
    edit(library, first, description="mine")
    write_picture(first, packet=xmp_of("changed", ["three"]))
    index()
    assert (shown(first).description, shown(first).tags) == ("mine", ("three",))


def test_copies_have_all_tags_and_the_first_caption(pictures, index, shown):
    second, first = (write_picture(pictures / name) for name in ("b.png", "a.png"))
    sidecar_of(second, xmp_of("the second", ["two"]))
    sidecar = sidecar_of(first, xmp_of("the first", ["one"]))
    index()
    assert (shown(first).description, shown(first).tags) == ("the first", ("one", "two"))
    first.unlink()
    sidecar.unlink()
    index()
    assert (shown(second).description, shown(second).tags) == ("the second", ("two",))


def test_a_removed_folder_takes_the_words_of_its_sidecars_along(
    pictures, index, shown, library, database, settings, tmp_path
):
    sidecar_of(write_picture(pictures / "a.png"), xmp_of("beside", ["one"]))
    other = tmp_path / "other"
    other.mkdir()
    copy = write_picture(other / "a.png")
    known = library.add_folder(other)
    FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
    index()
    assert (shown(copy).description, shown(copy).tags) == ("beside", ("one",))
    library.remove_folder(pictures)
    assert (shown(copy).description, shown(copy).tags) == (None, ())


def test_a_moved_picture_takes_its_sidecar_along(pictures, index, shown):
    path = write_picture(pictures / "a.png")
    sidecar = sidecar_of(path, xmp_of("moved", ["one"]))
    index()
    (pictures / "below").mkdir()
    moved = path.rename(pictures / "below" / "c.png")
    sidecar.rename(pictures / "below" / "c.png.xmp")
    assert index().moved == 1
    assert (shown(moved).description, shown(moved).description_origin) == ("moved", "sidecar:c.png.xmp")


def test_odd_sidecars_stop_nothing(pictures, index, shown, settings):
    path = write_picture(pictures / "a.png", packet=xmp_of("embedded"))
    takeout_of(path, "fine")
    sidecar_of(path, b"<not xml")
    (pictures / "a.xmp").mkdir()
    (pictures / "a.png.json").write_bytes(b"[" * 100_000)
    other = write_picture(pictures / "b.png", 1)
    (pictures / "b.xmp").write_bytes(b" " * 9_000_000)
    report = index()
    assert (report.found, report.sidecars) == (2, 4)
    assert (shown(path).description, shown(other).description) == ("fine", None)
    assert index().sidecars_read == 0


def test_without_the_setting_nothing_is_read(pictures, database, library, tmp_path, shown):
    settings = Settings(home=tmp_path / "home", index={"metadata": False})
    path = write_picture(pictures / "a.png", packet=xmp_of("embedded"))
    sidecar_of(path, xmp_of("beside"))
    known = library.add_folder(pictures)
    report = FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
    Indexer(database, settings, list_stages(Means(database, settings))).run(QuietProgress(), lambda: False)
    assert (report.sidecars, report.passed["other_files"]) == (0, ["a.png.xmp"])
    assert shown(path).description is None


def test_words_of_files_are_never_lost(pictures, index, database):
    path = write_picture(pictures / "a.png", packet=xmp_of("embedded", ["one"]))
    write_picture(pictures / "b.png", 1)
    index()
    path.unlink()
    index()
    assert list_lost_words(database) == []


def test_captions_are_cut_at_the_limit(pictures, database, library, tmp_path, shown):
    settings = Settings(home=tmp_path / "home", limits={"max_text_chars": 10})
    path = write_picture(pictures / "a.png", packet=xmp_of("0123456789abc"))
    known = library.add_folder(pictures)
    FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
    Indexer(database, settings, list_stages(Means(database, settings))).run(QuietProgress(), lambda: False)
    assert shown(path).description == "0123456789"

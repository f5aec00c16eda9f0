"""The library for Python programs, and the guide's examples of it, executed as they stand."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import smallsight
from contract.checkout import GUIDE
from smallsight.errors import (
    ArgumentError,
    LibraryBusyError,
    LibraryError,
    LibraryMissingError,
    NotInLibraryError,
    PictureNotFoundError,
    SettingsError,
)
from smallsight.library.database import Database
from smallsight.library.duplicate_groups import GroupKind, groups, resolve
from smallsight.services.library_results import IndexProgress
from smallsight.services.picture_library import PictureLibrary, open_library
from tiny_bert import write_tiny_bert

NAMES = ("cat", "tiger cat", "lighthouse")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that no test changes."""
    folder = tmp_path_factory.mktemp("home") / "Pictures"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        Image.new("RGB", (40, 30), (20 + 70 * number, 10, 99)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def indexed(pictures: Path, bert: Path) -> Path:
    """The data folder of a library of these pictures."""
    with open_library(
        pictures.with_name("data"), index={"ocr": False}, embedding={"model_dir": bert}
    ) as library:
        library.index(pictures)
        return library.path


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pictures: Path, bert: Path) -> None:
    """No OCR, and a random model instead of one that knows meanings."""
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")
    monkeypatch.setenv("SMALLSIGHT_EMBEDDING__MODEL_DIR", str(bert))
    monkeypatch.setenv("SMALLSIGHT_SEARCH__MIN_SIMILARITY", "1")
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(pictures.parent))


@pytest.fixture
def library(indexed: Path, tmp_path: Path) -> Iterator[PictureLibrary]:
    """A copy of the library."""
    shutil.copytree(indexed, tmp_path / "data")
    with open_library() as library:
        yield library


def examples() -> list[str]:
    section = GUIDE.read_text(encoding="utf-8").split("## The library from Python\n")[1].split("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def test_the_guides_examples_do_what_they_say(pictures: Path, capsys: pytest.CaptureFixture[str]):
    names: dict[str, object] = {}
    for example in examples():
        exec(example, names)
    out = capsys.readouterr().out
    assert "3 new, 0 could not be used" in out
    assert f"{pictures / 'cat.png'} () cat.png" in out
    assert "2 of 2\nThe cat before coffee.\n[('cats', 1), ('monday', 1)]\n" in out
    assert f"There is no such file: {pictures / 'nothing.png'}" in out
    with open_library() as library:
        assert library.details(pictures / "cat.png").tags == ("felines", "monday")


def test_progress_counts_up_to_the_total(pictures: Path):
    seen: list[IndexProgress] = []
    with open_library() as library:
        result = library.index([str(pictures)], on_progress=seen.append)
    assert (result.found, result.added, result.is_complete, result.problems) == (3, 3, True, ())
    last = {now.activity: now for now in seen if now.total is not None}
    assert last["Looking at pictures"].done == 3
    assert all(now.done == now.total for now in last.values())


def test_a_run_can_be_stopped_and_names_what_it_skipped(tmp_path: Path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with open_library() as library:
        assert not library.index(tmp_path / "broken", should_stop=lambda: True).is_complete
        (problem,) = library.index().problems
        assert problem.path.endswith("broken.png")
        assert isinstance(problem.error, smallsight.PictureError)


def test_a_search_is_a_sequence(library: PictureLibrary, pictures: Path):
    found = library.search("cat", mode="keyword", limit=1)
    assert (len(found), found.total, found.searched_meaning) == (1, 2, False)
    assert found[0].path == pictures / "cat.png"
    assert [picture.path for picture in found] == [pictures / "cat.png"]
    assert found[0].thumbnail is not None
    assert found[0].thumbnail.is_file()
    assert library.search("mountain").pictures == ()


def test_edits_are_seen_by_searches_and_undone(library: PictureLibrary, pictures: Path):
    result = library.edit(library.search("cat"), description="a pet", add_tags="Cats")
    assert set(result.changed) == {pictures / "cat.png", pictures / "tiger cat.png"}
    again = library.edit([pictures / "cat.png", pictures / "cat.png"], add_tags=["cats"], remove_tags=["dog"])
    assert (again.edit, again.unchanged, again.tags_not_there) == (None, (pictures / "cat.png",), ("dog",))
    assert library.search("tag:cats").total == 2
    assert set(library.rename_tag("cats", "pets").changed) == set(result.changed)
    assert [one.num_contents for one in library.edits()] == [2, 2]
    assert library.undo(result.edit).num_restored == 2
    assert library.details(pictures / "cat.png").tags == ("pets",)
    assert library.redo().summary == result_summary(library)
    assert library.merge_tags(["pets"], "animals").edit
    assert [one.name for one in library.tags()] == ["animals"]
    assert set(library.remove_tag("animals").changed) == set(result.changed)


def result_summary(library: PictureLibrary) -> str:
    return library.edits()[-1].summary


def test_what_is_known_and_alike(library: PictureLibrary, pictures: Path, tmp_path: Path):
    details = library.details("~/Pictures/cat.png")
    assert (details.paths, details.format, details.width_px) == ((pictures / "cat.png",), "PNG", 40)
    assert details.thumbnail is not None
    (folder,) = library.folders
    assert (folder.path, folder.num_pictures) == (pictures, 3)
    copy = tmp_path / "more" / "copy.png"
    copy.parent.mkdir()
    shutil.copy(pictures / "cat.png", copy)
    library.index(copy.parent)
    assert set(library.duplicates().same[0]) == {pictures / "cat.png", copy}
    assert isinstance(library.similar(pictures / "cat.png"), tuple)


def test_duplicates_are_those_of_the_pages(library: PictureLibrary, tmp_path: Path):
    folder = tmp_path / "copies"
    folder.mkdir()
    noise = np.random.default_rng(4).integers(0, 256, (6, 8, 3), np.uint8)
    scene = Image.fromarray(noise).resize((240, 180), Image.Resampling.BICUBIC)
    scene.save(folder / "scene.png")
    ImageOps.mirror(scene).save(folder / "mirrored.jpg")
    library.index(folder)
    copies = (folder / "scene.png", folder / "mirrored.jpg")
    assert copies in library.duplicates().alike
    assert copies not in library.duplicates(max_bits=6).alike
    with Database.open_for_writing(library.path / "library.sqlite3") as database:
        shown = groups(database, GroupKind.SAME).groups
        assert len(shown) == len(library.duplicates().alike)
        for group in shown:
            resolve(database, group.content_ids, group.content_ids)
    assert library.duplicates().alike == ()
    assert copies in library.duplicates(with_resolved=True).alike


def test_threads_read_and_write_at_the_same_time(library: PictureLibrary, pictures: Path):
    problems: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(5):
                library.edit(pictures / f"{name}.png", add_tags=f"tag {number}")
                library.search(name)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            problems.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert all(len(library.details(pictures / f"{name}.png").tags) == 5 for name in NAMES)


def test_without_a_library_only_index_works(pictures: Path, tmp_path: Path):
    with open_library(tmp_path / "empty") as library:
        for call in (
            lambda: library.search("x"),
            lambda: library.edit("x.png", add_tags="t"),
            library.undo,
            lambda: library.folders,
        ):
            with pytest.raises(LibraryMissingError) as caught:
                call()
            assert "index(folder)" in (caught.value.hint or "")
        assert not (tmp_path / "empty").exists()
        library.index(pictures)
        assert library.search("lighthouse").total == 1


def test_a_closed_library_says_so(library: PictureLibrary):
    library.search("cat")
    library.close()
    library.close()
    assert repr(library) == f"<smallsight.PictureLibrary in {str(library.path)!r}, closed>"
    for call in (
        lambda: library.search("cat"),
        library.index,
        library.tags,
        library.undo,
    ):
        with pytest.raises(LibraryError, match="has been closed"):
            call()


def test_another_run_is_an_error_and_reading_goes_on(library: PictureLibrary):
    from smallsight.services.indexing import IndexingApplication
    from smallsight.settings import load_settings

    with IndexingApplication(load_settings()):
        with pytest.raises(LibraryBusyError):
            library.index()
        assert library.search("cat").total == 2


def test_wrong_arguments_are_sentences(library: PictureLibrary, pictures: Path):
    cat = pictures / "cat.png"
    for call, words in (
        (lambda: library.search("cat", mode="fuzzy"), "mode cannot be 'fuzzy'"),
        (lambda: library.search("cat", limit=0), "limit cannot be 0"),
        (lambda: library.search(None), "query cannot be of type NoneType"),  # type: ignore[arg-type]
        (lambda: library.edit(cat), "Nothing to change"),
        (lambda: library.edit(cat, add_tags=""), "A tag cannot be empty"),
        (lambda: library.edit(cat, description=5), "description cannot be of type int"),  # type: ignore[arg-type]
        (lambda: open_library(cat, settings=smallsight.settings.Settings()), "settings holds every setting"),
    ):
        with pytest.raises(ArgumentError, match=words):
            call()
    with pytest.raises(NotInLibraryError):
        library.edit([cat, pictures / "nothing.png"], add_tags="t")
    too_long = pictures / ("x" * 5_000)
    for look in (library.details, lambda path: library.edit(path, add_tags="t")):
        with pytest.raises(NotInLibraryError, match="File name too long"):
            look(too_long)
    with pytest.raises(PictureNotFoundError, match="File name too long"):
        library.similar(too_long)
    assert library.tags() == ()
    with pytest.raises(SettingsError):
        open_library(index={"ocr": "perhaps"})

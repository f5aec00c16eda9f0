"""One file's oddity stays with that file: the others are indexed, and the odd one is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from quiet_progress import QuietProgress
from smallsight.errors import FolderError, InvalidTextError, NotInLibraryError, SmallsightError
from smallsight.library.indexer import Indexer
from smallsight.library.scan import FolderScan
from smallsight.library.schema import content, picture
from smallsight.library.stages.stage_list import Means, list_stages

IN_2300_NS, IN_1960_NS = 10_413_792_000 * 10**9, -315_619_200 * 10**9
NOT_TEXT = os.fsdecode(b"caf\xe9")


class Problems(QuietProgress):
    def __init__(self) -> None:
        self.found: dict[str, SmallsightError] = {}

    def problem(self, path: str, error: SmallsightError) -> None:
        self.found[path] = error


class OddReader:
    """A reader that raises something nobody expects for one colour."""

    key = "odd-1"
    num_at_once = 1

    def read(self, image_HWC):
        if tuple(image_HWC[0, 0]) == (1, 2, 3):
            message = "list index out of range"
            raise IndexError(message)
        return []


def never() -> bool:
    return False


def scanned(database, settings, library, folder, progress):
    folder_id = library.add_folder(folder).id
    return FolderScan(database, settings, folder_id, folder, None).run(progress, never)


def test_a_time_that_the_library_cannot_store_is_the_nearest_that_it_can(
    database, settings, library, pictures, draw
):
    for name, time_ns in (("future.png", IN_2300_NS), ("past.png", IN_1960_NS)):
        os.utime(draw(name), ns=(time_ns, time_ns))
    draw("good.png")
    progress = Problems()
    assert scanned(database, settings, library, pictures, progress).added == 3
    assert not progress.found
    with database.reading() as connection:
        times = {row.path: row.mtime_ns for row in connection.execute(sa.select(picture))}
    assert times["future.png"] == 2**63 - 1
    assert times["past.png"] == IN_1960_NS
    again = scanned(database, settings, library, pictures, progress)
    assert (again.hashed, again.added, again.changed) == (0, 0, 0)


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names are always Unicode")
def test_a_name_that_is_not_text_is_named_and_the_rest_is_indexed(
    database, settings, library, pictures, draw
):
    os.rename(draw("x.png"), pictures / f"{NOT_TEXT}.png")
    draw("good.png")
    progress = Problems()
    report = scanned(database, settings, library, pictures, progress)
    assert (report.added, report.unreadable) == (1, 1)
    assert "not valid text" in str(progress.found["caf\\udce9.png"])


def test_whatever_storing_one_file_raises_is_its_problem(
    database, settings, library, pictures, draw, monkeypatch
):
    """A value that SQLite cannot hold, in one file of a batch that is stored together."""
    monkeypatch.setattr("smallsight.library.walk._LAST_NS", 2**70)
    for name in ("a.png", "b.png", "c.png"):
        path = draw(name, (9, ord(name[0]), 0))
        if name == "b.png":
            os.utime(path, ns=(IN_2300_NS, IN_2300_NS))
    progress = Problems()
    report = scanned(database, settings, library, pictures, progress)
    assert (report.added, report.unreadable) == (2, 1)
    assert "OverflowError" in str(progress.found["b.png"])


def test_whatever_reading_one_picture_raises_is_its_problem(database, settings, library, pictures, draw):
    draw("a.png")
    odd = draw("b.png", (1, 2, 3))
    draw("c.png", (9, 9, 9))
    progress = Problems()
    scanned(database, settings, library, pictures, progress)
    works = list_stages(Means(database, settings, reader=OddReader()))
    report = Indexer(database, settings, works).run(progress, never)
    assert (report.stages["read"].done, report.stages["read"].failed) == (2, 1)
    assert "IndexError: list index out of range" in str(progress.found[str(odd)])


def test_a_result_that_cannot_be_stored_is_an_error_of_its_picture(
    database, settings, library, pictures, draw, monkeypatch
):
    draw("a.png")
    draw("b.png", (9, 9, 9))
    progress = Problems()
    scanned(database, settings, library, pictures, progress)
    monkeypatch.setattr("smallsight.library.stages.look._as_signed", lambda _: 2**70)
    works = list_stages(Means(database, settings))
    report = Indexer(database, settings, works).run(progress, never)
    assert report.is_complete
    assert report.stages["look"].failed == 2
    assert all("OverflowError" in str(error) for error in progress.found.values())
    with database.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(content)).scalar() == 2


def test_words_and_paths_that_are_not_text_are_one_sentence(library, pictures, database, settings, draw):
    path = draw("a.png")
    scanned(database, settings, library, pictures, Problems())
    content_id = library.find_content(path)
    for words in ({"description": NOT_TEXT}, {"ocr_text": NOT_TEXT}, {"tags_added": (NOT_TEXT,)}):
        with pytest.raises(InvalidTextError, match="not valid text"):
            library.edit(content_id, **words)
    with pytest.raises(NotInLibraryError, match="Not in the library"):
        library.find_content(pictures / NOT_TEXT)
    with pytest.raises(NotInLibraryError, match="Not a folder of the library"):
        library.remove_folder(Path(pictures / NOT_TEXT))


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="names are always Unicode")
def test_a_folder_whose_name_is_not_text_is_refused(library, pictures):
    (pictures / NOT_TEXT).mkdir()
    with pytest.raises(FolderError, match="not valid text"):
        library.add_folder(pictures / NOT_TEXT)

"""The indexer with the real decoder; text reading and vectors are small deterministic programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from quiet_progress import QuietProgress
from smallsight.errors import DecoderFailedError, SmallsightError, StorageError
from smallsight.library.database import Database
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.ledger import forget_failures
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.library.schema import chunk, content, lease, outcome
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.library.thumbnails import thumbnail_path
from smallsight.reading.text_line import TextLine
from smallsight.settings import Settings

Draw = Callable[..., Path]
BOX = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


class ColourReader:
    """Reads the colour of the first pixel as text; dies on a given colour."""

    key = "colour-1"
    num_at_once = 1

    def __init__(self, deadly: tuple[int, int, int] | None = None) -> None:
        self.num_read = 0
        self._deadly = deadly

    def read(self, image_HWC: np.ndarray) -> Sequence[TextLine]:
        self.num_read += 1
        pixel = tuple(int(value) for value in image_HWC[0, 0])
        if pixel == self._deadly:
            raise DecoderFailedError("The text reader died on this picture: killed.")
        return [TextLine("colour " + " ".join(map(str, pixel)), 0.9, BOX)]


class LengthEmbedder:
    """Turns a text into a direction that depends on its length."""

    def __init__(self, key: str = "length-1") -> None:
        self.key = key
        self.num_embedded = 0

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.num_embedded += len(texts)
        angles = np.array([len(text) for text in texts], dtype=np.float32)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)


class Recorder(QuietProgress):
    def __init__(self) -> None:
        self.problems: list[str] = []

    def problem(self, path: str, error: SmallsightError) -> None:
        self.problems.append(f"{Path(path).name}: {error.code}")


@pytest.fixture
def scan(database: Database, library: Library, settings: Settings, pictures: Path) -> Callable[[], None]:
    def run() -> None:
        known = library.add_folder(pictures)
        FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)

    return run


@pytest.fixture
def work(database: Database, settings: Settings):
    def run(
        reader: ColourReader | None = None,
        embedder: LengthEmbedder | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        observer: Recorder | None = None,
    ) -> IndexReport:
        means = Means(database, settings, reader, embedder)
        return Indexer(database, settings, list_stages(means)).run(observer or Recorder(), should_stop)

    return run


def texts(database: Database) -> set[str | None]:
    with database.reading() as connection:
        return set(connection.execute(sa.select(content.c.ocr_text)).scalars())


def count(database: Database, table: sa.Table) -> int:
    with database.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_everything_is_done_once(database: Database, settings: Settings, draw: Draw, scan, work):
    for number in range(40):
        draw(f"{number}.png", colour=(number, 2, 3))
    draw("same.png", colour=(1, 2, 3))
    scan()
    reader, embedder = ColourReader(), LengthEmbedder()
    report = work(reader, embedder)
    assert (
        report.stages["look"].done,
        report.stages["read"].done,
        report.stages["embed"].done,
        report.is_complete,
    ) == (40, 40, 40, True)
    assert reader.num_read == 40
    assert texts(database) == {f"colour {number} 2 3" for number in range(40)}
    assert count(database, chunk) == 40
    assert count(database, lease) == 0
    with database.reading() as connection:
        for sha256 in connection.execute(sa.select(content.c.sha256)).scalars():
            assert thumbnail_path(settings.thumbnails_dir, sha256).read_bytes()[8:12] == b"WEBP"
    again = work(reader, embedder)
    assert (again.stages["look"].done, again.stages["read"].done, again.stages["embed"].done) == (0, 0, 0)
    assert reader.num_read == 40


def test_what_was_read_is_searchable_by_words(database: Database, draw: Draw, scan, work):
    draw("a.png", colour=(7, 8, 9))
    scan()
    work(ColourReader())
    with database.reading() as connection:
        found = connection.exec_driver_sql("SELECT ocr FROM search_text").scalar_one()
    assert "colour" in found


def test_reading_later_does_not_look_again(database: Database, draw: Draw, scan, work):
    draw("a.png", colour=(7, 8, 9))
    scan()
    assert work().stages["look"].done == 1
    report = work(ColourReader())
    assert (report.stages["look"].done, report.stages["read"].done) == (0, 1)
    assert texts(database) == {"colour 7 8 9"}


def test_another_embedder_makes_all_vectors_anew(database: Database, draw: Draw, scan, work):
    draw("a.png")
    scan()
    work(ColourReader(), LengthEmbedder("one"))
    assert work(ColourReader(), LengthEmbedder("two")).stages["embed"].done == 1
    with database.reading() as connection:
        assert connection.execute(sa.select(chunk.c.embedder_key)).scalars().all() == ["two"]


def test_an_edited_text_is_embedded_again_and_no_other(
    database: Database, library: Library, draw: Draw, scan, work
):
    path = draw("a.png")
    draw("b.png", colour=(1, 1, 1))
    scan()
    work(ColourReader(), LengthEmbedder())
    library.edit(library.find_content(path), description="a red square")
    embedder = LengthEmbedder()
    assert work(ColourReader(), embedder).stages["embed"].done == 1
    with database.reading() as connection:
        assert "a red square" in connection.execute(sa.select(chunk.c.text)).scalars().all()


def test_a_damaged_picture_is_told_once_and_does_not_stop_the_others(
    database: Database, draw: Draw, pictures: Path, scan, work
):
    draw("good.png")
    (pictures / "bad.png").write_bytes(draw("x.png", colour=(9, 9, 9)).read_bytes()[:60])
    (pictures / "fake.jpg").write_bytes(b"<html>not a picture</html>")
    (pictures / "empty.jpg").touch()
    scan()
    recorder = Recorder()
    report = work(ColourReader(), observer=recorder)
    assert sorted(recorder.problems) == [
        "bad.png: corrupt_picture",
        "empty.jpg: unsupported_format",
        "fake.jpg: unsupported_format",
    ]
    assert (report.stages["look"].done, report.stages["look"].failed) == (2, 3)
    again = Recorder()
    work(ColourReader(), observer=again)
    assert again.problems == []
    with database.writing() as connection:
        assert forget_failures(connection) > 0
    work(ColourReader(), observer=again)
    assert len(again.problems) == 3


def test_a_picture_that_kills_the_reader_is_set_aside(database: Database, draw: Draw, scan, work):
    draw("poison.png", colour=(6, 6, 6))
    draw("good.png", colour=(5, 5, 5))
    scan()
    report = work(ColourReader(deadly=(6, 6, 6)), LengthEmbedder())
    assert (report.stages["read"].done, report.stages["read"].failed) == (1, 1)
    assert report.is_complete
    with database.reading() as connection:
        failed = connection.execute(
            sa.select(outcome.c.stage, outcome.c.error).where(outcome.c.status == "failed")
        ).all()
    assert failed == [("read", "The text reader died on this picture: killed.")]


def test_a_file_that_changes_after_the_scan_waits_for_the_next(database: Database, draw: Draw, scan, work):
    draw("a.png", colour=(1, 1, 1))
    scan()
    draw("a.png", colour=(2, 2, 2), size=48)
    recorder = Recorder()
    report = work(ColourReader(), observer=recorder)
    assert recorder.problems == ["a.png: picture_not_found"]
    assert (report.stages["look"].done, report.stages["look"].failed) == (0, 0)
    scan()
    work(ColourReader())
    assert "colour 2 2 2" in texts(database)


def test_a_place_that_cannot_be_written_stops_with_a_sentence_and_loses_nothing(
    database: Database, settings: Settings, draw: Draw, scan, work
):
    draw("a.png")
    scan()
    settings.thumbnails_dir.write_text("in the way of the folder")
    with pytest.raises(StorageError, match="Cannot write to the library"):
        work(ColourReader())
    assert count(database, lease) == 0
    settings.thumbnails_dir.unlink()
    assert work(ColourReader()).stages["read"].done == 1


def test_stopping_keeps_what_is_done_and_holds_nothing(database: Database, draw: Draw, scan, work):
    for number in range(30):
        draw(f"{number}.png", colour=(number, 0, 0))
    scan()
    reader = ColourReader()
    report = work(reader, should_stop=lambda: reader.num_read >= 5)
    assert not report.is_complete
    assert reader.num_read == 5
    assert count(database, lease) == 0
    assert work(reader).is_complete
    assert reader.num_read == 30


def test_a_persons_text_survives_a_new_reading(database: Database, library: Library, draw: Draw, scan, work):
    path = draw("a.png")
    scan()
    work(ColourReader())
    library.edit(library.find_content(path), ocr_text="mine")
    newer = ColourReader()
    newer.key = "colour-2"
    assert work(newer).stages["read"].done == 1
    assert texts(database) == {"mine"}

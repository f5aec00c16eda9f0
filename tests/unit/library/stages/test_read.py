"""The stage ``read`` with a reader of several pictures at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from quiet_progress import QuietProgress
from smallsight.errors import DecoderFailedError
from smallsight.library.database import Database
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.library.schema import content, lease, outcome
from smallsight.library.stages import read
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.reading.text_line import TextLine
from smallsight.settings import Settings

Draw = Callable[..., Path]
BOX = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
DARK = (0, 0, 0)


class UnevenReader:
    """Reads the colour as text after a random time, and counts how many it reads at the same time."""

    key = "uneven-1"

    def __init__(self, num_at_once: int) -> None:
        self.num_at_once = num_at_once
        self.num_begun = self.most_at_once = self._current = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self._all_begun = threading.Event()
        self._changing = threading.Lock()
        self._chance = random.Random(num_at_once)

    def read(self, image_HWC: np.ndarray) -> Sequence[TextLine]:
        with self._changing:
            self.num_begun += 1
            self._current += 1
            self.most_at_once = max(self.most_at_once, self._current)
            wait_s = self._chance.uniform(0, 0.03)
            if self.num_begun == min(2, self.num_at_once):
                self._all_begun.set()
        try:
            assert self._all_begun.wait(30)  # the first picture waits for a second one
            time.sleep(wait_s)
            assert self.may_end.wait(30)
            colour = tuple(image_HWC[0, 0].tolist())
            if colour == DARK:
                raise DecoderFailedError("Too dark to read.")
            return [TextLine("colour " + " ".join(map(str, colour)), 0.9, BOX)]
        finally:
            with self._changing:
                self._current -= 1


@pytest.fixture
def work(database: Database, library: Library, settings: Settings, pictures: Path):
    def run(reader: UnevenReader, should_stop: Callable[[], bool] = lambda: False) -> IndexReport:
        known = library.add_folder(pictures)
        FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
        means = Means(database, settings, reader)
        return Indexer(database, settings, list_stages(means)).run(QuietProgress(), should_stop)

    return run


def texts(database: Database, library: Library, paths: Sequence[Path]) -> list[str | None]:
    with database.reading() as connection:
        found = dict(connection.execute(sa.select(content.c.id, content.c.ocr_text)).all())
    return [found[library.find_content(path)] for path in paths]


@pytest.mark.parametrize("num_at_once", [1, 2, 5])
def test_each_picture_gets_its_own_text(
    database: Database, library: Library, draw: Draw, work, num_at_once: int
):
    paths = [draw(f"{number}.png", (number, 5, 9)) for number in range(20)]
    reader = UnevenReader(num_at_once)
    report = work(reader)
    assert report.stages["read"].done == reader.num_begun == 20
    assert min(2, num_at_once) <= reader.most_at_once <= num_at_once
    assert texts(database, library, paths) == [f"colour {number} 5 9" for number in range(20)]


def test_a_picture_that_cannot_be_read_is_an_outcome_and_the_others_are_read(
    database: Database, library: Library, draw: Draw, work
):
    colours = [(1, 1, 1), DARK, (2, 2, 2), (3, 3, 3)]
    paths = [draw(f"{number}.png", colour) for number, colour in enumerate(colours)]
    report = work(UnevenReader(2))
    assert (report.stages["read"].done, report.stages["read"].failed) == (3, 1)
    assert texts(database, library, paths) == ["colour 1 1 1", None, "colour 2 2 2", "colour 3 3 3"]
    with database.reading() as connection:
        failed = connection.execute(sa.select(outcome.c.error).where(outcome.c.status == "failed"))
        assert failed.scalars().all() == ["Too dark to read."]


def test_outcomes_are_stored_in_the_order_of_the_pictures(database: Database, draw: Draw, work):
    for number in range(12):
        draw(f"{number}.png", (number, 5, 9))
    work(UnevenReader(3))
    with database.reading() as connection:
        read_ids = sa.select(outcome.c.content_id).where(outcome.c.stage == "read")
        ids = connection.execute(read_ids.order_by(sa.text("rowid"))).scalars().all()
    assert ids == sorted(ids)


def test_the_same_pixels_in_another_file_are_read_once(
    database: Database, library: Library, draw: Draw, pictures: Path, work
):
    first, other = draw("1.png", (40, 5, 9)), draw("2.png", (50, 5, 9))
    again, last = pictures / "3.png", draw("4.png", (60, 5, 9))
    with Image.open(other) as image:
        image.save(again, compress_level=0)
    reader = UnevenReader(2)
    assert work(reader).stages["read"].done == 4
    assert reader.num_begun == 3
    colours = [f"colour {red} 5 9" for red in (40, 50, 50, 60)]
    assert texts(database, library, [first, other, again, last]) == colours


def test_large_pictures_are_not_held_together(draw: Draw, work, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(read, "_MAX_HELD_BYTES", 3 * 32 * 32 + 1)
    for number in range(6):
        draw(f"{number}.png", (number, 5, 9))
    reader = UnevenReader(4)
    assert work(reader).stages["read"].done == 6
    assert reader.most_at_once <= 2


def test_stopping_stores_no_half_and_holds_nothing(database: Database, draw: Draw, work):
    for number in range(30):
        draw(f"{number}.png", (number, 5, 9))
    reader = UnevenReader(2)
    report = work(reader, lambda: reader.num_begun >= 8)
    assert not report.is_complete
    assert 5 <= report.stages["read"].done <= 8
    with database.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(lease)).scalar_one() == 0
        stored = sa.select(sa.func.count()).select_from(content).where(content.c.ocr_text.is_not(None))
        assert connection.execute(stored).scalar_one() == report.stages["read"].done
    assert work(reader).is_complete
    assert reader.num_begun <= 30 + 4


def test_who_interrupts_does_not_wait_for_the_pictures_that_are_read(database: Database, draw: Draw, work):
    for number in range(6):
        draw(f"{number}.png", (number, 5, 9))
    reader = UnevenReader(2)
    reader.may_end.clear()
    interrupted = []

    def interrupt() -> bool:
        if reader.num_begun == 2:
            interrupted.append(time.monotonic())
            raise KeyboardInterrupt
        return False

    try:
        with pytest.raises(KeyboardInterrupt):
            work(reader, interrupt)
        assert time.monotonic() - interrupted[0] < 10
    finally:
        reader.may_end.set()
    assert work(reader).stages["read"].done == 6

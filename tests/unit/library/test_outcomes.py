"""The change feed: what is reported is what the database says, whatever happens on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from forked_commands import run_command
from quiet_progress import ChangeFeed
from smallsight.errors import DecoderFailedError
from smallsight.library.database import Database
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.library.schema import lease, outcome
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.reading.text_line import TextLine
from smallsight.settings import Settings

SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from quiet_progress import QuietProgress
from smallsight.library.database import Database
from smallsight.library.indexer import Indexer
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.settings import Settings


class Feed(QuietProgress):
    num_stored = 0

    def stored(self, content_id, stage, outcome):
        print(content_id, stage, outcome, flush=True)
        self.num_stored += 1
        if self.num_stored == 7:
            os.kill(os.getpid(), signal.SIGKILL)


class Reader:
    key = "reader-1"
    num_at_once = 1

    def read(self, image_HWC):
        return []


settings = Settings(home=Path({home!r}))
with Database.open_for_writing(settings.database_path) as database:
    stages = list_stages(Means(database, settings, Reader()))
    Indexer(database, settings, stages).run(Feed(), lambda: False)
"""


class Reader:
    """Reads nothing; fails on black pictures, and calls a function before each one."""

    key = "reader-1"
    num_at_once = 1

    def __init__(self, before_each: Callable[[], None] = lambda: None) -> None:
        self.num_read = 0
        self._before_each = before_each

    def read(self, image_HWC: np.ndarray) -> Sequence[TextLine]:
        self.num_read += 1
        self._before_each()
        if not image_HWC.any():
            raise DecoderFailedError("Too dark to read.")
        return []


class Embedder:
    key = "embedder-1"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 1), dtype=np.float32)


@pytest.fixture
def scan(database: Database, library: Library, settings: Settings, pictures: Path):
    def run() -> ChangeFeed:
        known = library.add_folder(pictures)
        feed = ChangeFeed()
        FolderScan(database, settings, known.id, known.path).run(feed, lambda: False)
        return feed

    return run


@pytest.fixture
def work(database: Database, settings: Settings):
    def run(feed: ChangeFeed, reader: Reader, should_stop=lambda: False) -> IndexReport:
        stages = list_stages(Means(database, settings, reader, Embedder()))
        return Indexer(database, settings, stages).run(feed, should_stop)

    return run


def outcomes(database: Database) -> list[tuple[int, str, str]]:
    with database.reading() as connection:
        rows = connection.execute(sa.select(outcome.c.content_id, outcome.c.stage, outcome.c.status))
        return sorted(tuple(row) for row in rows)


def test_failed_pictures_are_in_the_feed_and_missing_ones_are_not(
    database: Database, draw, pictures: Path, scan, work
):
    for number in range(5):
        draw(f"{number}.png", colour=(number, number, number))
    (pictures / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    draw("gone.png", colour=(9, 9, 1))
    scan()
    (pictures / "gone.png").unlink()
    feed = ChangeFeed()
    work(feed, Reader())
    assert sorted(feed.outcomes) == outcomes(database)
    assert [stage for _, stage, status in feed.outcomes if status == "failed"] == ["read", "look"]
    assert len({content_id for content_id, _, _ in feed.outcomes}) == 6


def test_an_outcome_is_reported_after_it_is_stored(database: Database, draw, scan, work):
    for number in range(3):
        draw(f"{number}.png", colour=(number, 1, 1))
    scan()

    class Checking(ChangeFeed):
        def stored(self, content_id, stage, outcome) -> None:
            assert (content_id, stage, outcome) in outcomes(database)
            super().stored(content_id, stage, outcome)

    feed = Checking()
    work(feed, Reader())
    assert len(feed.outcomes) == len(set(feed.outcomes)) == 15


def test_a_lost_lease_is_not_reported_and_its_work_is_done_again(database: Database, draw, scan, work):
    for number in range(4):
        draw(f"{number}.png", colour=(number, 1, 1))
    scan()
    feed = ChangeFeed()

    def lose_one() -> None:
        if reader.num_read == 2:
            with database.writing() as connection:
                connection.execute(lease.delete())
            assert feed.outcomes.count((2, "read", "done")) == 0

    reader = Reader(lose_one)
    report = work(feed, reader)
    assert sorted(feed.outcomes) == outcomes(database)
    assert report.stages["read"].done == 4
    assert reader.num_read > 4
    assert len(feed.outcomes) == len(set(feed.outcomes))


def test_what_was_reported_before_a_kill_is_stored_and_is_not_reported_again(
    database: Database, settings: Settings, draw, scan, work
):
    for number in range(8):
        draw(f"{number}.png", colour=(number, 1, 1))
    scan()
    database.close()
    tests = str(Path(__file__).parents[2])
    script = SCRIPT.format(tests=tests, home=str(settings.home))
    code, out, err = run_command(script, os.environ)
    assert code == -signal.SIGKILL, err
    reported = [(int(line.split()[0]), *line.split()[1:]) for line in out.splitlines()]
    with Database.open_for_writing(settings.database_path) as again:
        assert sorted(reported) == outcomes(again)
        feed = ChangeFeed()
        Indexer(again, settings, list_stages(Means(again, settings, Reader()))).run(feed, lambda: False)
        assert sorted([*reported, *feed.outcomes]) == outcomes(again)
        assert len(outcomes(again)) == 32


def test_stopping_reports_what_is_stored(database: Database, draw, scan, work):
    for number in range(8):
        draw(f"{number}.png", colour=(number, 1, 1))
    scan()
    feed, reader = ChangeFeed(), Reader()
    work(feed, reader, lambda: reader.num_read >= 3)
    assert sorted(feed.outcomes) == outcomes(database)
    assert len(feed.outcomes) == 9


def test_a_scan_reports_what_became_of_files(draw, pictures: Path, scan):
    first, second = draw("a.png", colour=(1, 1, 1)), draw("b.png", colour=(2, 2, 2))
    assert scan().changes == [(1, "a.png", "added"), (2, "b.png", "added")]
    assert scan().changes == []
    first.rename(pictures / "c.png")
    draw("b.png", colour=(3, 3, 3), size=40)
    assert scan().changes == [(3, "b.png", "changed"), (1, "c.png", "added"), (1, "c.png", "moved")]
    second.unlink()
    (pictures / "huge.png").mkdir()
    assert scan().changes == [(3, "b.png", "vanished")]
    draw("b.png", colour=(3, 3, 3), size=40)
    assert scan().changes == [(3, "b.png", "added")]

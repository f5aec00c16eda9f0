"""A stage that the product does not have, in the list of a real indexer over a real library."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from quiet_progress import ChangeFeed
from smallsight.errors import CorruptPictureError
from smallsight.library.database import Database
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.ledger import Stage, StageName
from smallsight.library.library import Library
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes
from smallsight.library.scan import FolderScan
from smallsight.library.schema import content, outcome
from smallsight.library.stages.stage_list import STAGE_NAMES, Means, list_stages
from smallsight.settings import Settings

BRIGHTNESS = StageName("brightness")


class BrightnessWork:
    """Writes how bright a picture is where its description goes; too dark a picture fails."""

    activity = "Measuring brightness"
    needs = Needs.READABLE
    holds_back = False
    contents_per_lease = 4

    def __init__(self, key: str) -> None:
        self.stages = (Stage(BRIGHTNESS, key),)

    def work(
        self, contents: Iterator[OpenedContent], outcomes: Outcomes
    ) -> Generator[OpenedContent, None, None]:
        for one in contents:
            if one.is_due(BRIGHTNESS):
                self._measure(one, outcomes)
            yield one

    def _measure(self, one: OpenedContent, outcomes: Outcomes) -> None:
        mean = round(one.picture.image_HWC.mean())
        error = CorruptPictureError("Too dark.") if mean < 10 else None

        def write(connection: sa.Connection) -> None:
            if error is None:
                new = content.update().where(content.c.id == one.task.content_id)
                connection.execute(new.values(description=f"brightness {mean}"))

        outcomes.store([Ended(one, BRIGHTNESS, 0.5, error)], write)


@pytest.fixture
def scan(database: Database, library: Library, settings: Settings, pictures: Path) -> Callable[[], None]:
    def run() -> None:
        known = library.add_folder(pictures)
        FolderScan(database, settings, known.id, known.path).run(ChangeFeed(), lambda: False)

    return run


@pytest.fixture(params=["last", "before the others"])
def work(request, database: Database, settings: Settings):
    def run(feed: ChangeFeed, key: str = "brightness-1") -> IndexReport:
        stages = list_stages(Means(database, settings))
        at = len(stages) if request.param == "last" else 0
        stages.insert(at, BrightnessWork(key))
        return Indexer(database, settings, stages).run(feed, lambda: False)

    return run


def test_a_stage_of_one_file_runs_reports_and_resumes(database: Database, draw, scan, work):
    for number in range(9):
        draw(f"{number}.png", colour=(40 * number,) * 3 if number < 7 else (number, 0, 0))
    scan()
    feed = ChangeFeed()
    report = work(feed)
    done, failed = report.stages[BRIGHTNESS].done, report.stages[BRIGHTNESS].failed
    assert (done, failed, report.stages[BRIGHTNESS].seconds) == (6, 3, 4.5)
    assert report.stages["look"].done == 9
    assert set(report.stages) == {*STAGE_NAMES, BRIGHTNESS}
    with database.reading() as connection:
        rows = connection.execute(sa.select(outcome.c.content_id, outcome.c.stage, outcome.c.status))
        assert sorted(feed.outcomes) == sorted(tuple(row) for row in rows)
        texts = set(connection.execute(sa.select(content.c.description)).scalars())
    assert texts == {None, *(f"brightness {40 * number}" for number in range(1, 7))}
    again = ChangeFeed()
    work(again)
    assert again.outcomes == []
    work(again, "brightness-2")
    assert [stage for _, stage, _ in again.outcomes] == [BRIGHTNESS] * 9


def test_the_report_names_every_stage_in_the_order_of_the_work():
    assert list(IndexReport().stages) == [
        *("look", "metadata", "read", "embed_picture", "embed_frames", "describe", "tag", "embed", "compare"),
        "compare_looks",
    ]

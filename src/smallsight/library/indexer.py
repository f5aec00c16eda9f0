"""Fills the library: runs the stages on all contents that lack them, and can stop at any time.

Owns the order of the work, not what a stage does. Decoding and reading run in other processes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from smallsight.errors import PictureNotFoundError
from smallsight.library.content_opener import ContentOpener
from smallsight.library.database import Database
from smallsight.library.ledger import (
    Ledger,
    Stage,
    StageName,
    Task,
    count_due,
    drop_abandoned_leases,
    forget_solved,
)
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Outcomes, StageReport
from smallsight.library.progress import Progress
from smallsight.library.read_files import ReadFiles
from smallsight.library.stages.stage_list import STAGE_NAMES
from smallsight.library.stages.stage_work import StageWork
from smallsight.media.video_formats import solved_errors
from smallsight.settings import Settings

_FEW_CONTENTS = 64


def _no_reports() -> dict[StageName, StageReport]:
    return {name: StageReport() for name in STAGE_NAMES}


@dataclass(slots=True)
class IndexReport:
    """The result of an indexer run, by stage in the order of the work."""

    stages: dict[StageName, StageReport] = field(default_factory=_no_reports)
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class _Pass:
    """Stages that process contents together; ``along`` may process them in the same pass."""

    works: tuple[StageWork, ...]
    along: tuple[StageWork, ...] = ()

    @property
    def stages(self) -> list[Stage]:
        return [stage for work in self.works for stage in work.stages]

    @property
    def stages_along(self) -> list[Stage]:
        return [stage for work in self.along for stage in work.stages]


class Indexer:
    """Does all due work of the given stages.

    ``files`` may hold the bytes of files that a scan has just read.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        works: Sequence[StageWork],
        files: ReadFiles | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._works = works
        self._files = files or ReadFiles()
        self._ledger = Ledger(uuid.uuid4().hex, settings.index.lease_s)

    def run(self, progress: Progress, should_stop: Callable[[], bool]) -> IndexReport:
        """Work until nothing is due or should_stop returns True; finished work is stored by then."""
        report = IndexReport()
        stages = [stage for work in self._works for stage in work.stages]
        for stage in stages:
            report.stages.setdefault(stage.name, StageReport())
        renew_after_s = self._settings.index.lease_s / 4
        outcomes = Outcomes(
            self._database, self._ledger, progress, report.stages, renew_after_s=renew_after_s
        )
        with self._database.writing() as connection:
            drop_abandoned_leases(connection)
            forget_solved(connection, stages, solved_errors())
        try:
            for one in _passes(self._works):
                if not should_stop():
                    self._run_pass(one, outcomes, progress, should_stop)
        finally:
            self._files.clear()
            with self._database.writing() as connection:
                self._ledger.release_all(connection)
        report.is_complete = not should_stop()
        return report

    def _run_pass(
        self, one: _Pass, outcomes: Outcomes, progress: Progress, should_stop: Callable[[], bool]
    ) -> None:
        """Run the stages of a pass on the contents that lack one of them.

        With few contents the model's stages run along, so that each picture is opened once for everything.
        With many, a model may take hours. Then contents are first looked at and read, which makes their words
        searchable within minutes, and opened a second time for the model.
        """
        with self._database.reading() as connection:
            total = count_due(connection, one.stages)
            is_together = 0 < total <= _FEW_CONTENTS and bool(one.along)
            is_together = is_together and count_due(connection, one.stages, one.stages_along) > 0
        if not total:
            return
        along = one.stages_along if is_together else []
        works = (*one.works, *one.along) if is_together else one.works
        needs = {stage.name: work.needs for work in works for stage in work.stages}
        opener = ContentOpener(self._database, self._settings, self._files, needs)
        tasks = self._tasks(one.stages, along, max(work.contents_per_lease for work in works))
        progress.begin(works[-1].activity, total, "pictures")
        try:
            with ExitStack() as stack:
                contents = stack.enter_context(closing(opener.open_all(tasks, should_stop)))
                contents = stack.enter_context(closing(_reporting_missing(contents, progress)))
                for work in works:
                    contents = stack.enter_context(closing(work.work(contents, outcomes)))
                for _ in contents:
                    progress.advance()
                    if should_stop():
                        break
        finally:
            progress.end()

    def _tasks(self, stages: Sequence[Stage], along: Sequence[Stage], per_lease: int) -> Iterator[Task]:
        """Lease and yield tasks by ascending id, then start again for what has become due since."""
        after_id = 0
        while True:
            with self._database.writing() as connection:
                taken = self._ledger.take(connection, stages, per_lease, after_id, along=along)
            if taken:
                after_id = taken[-1].content_id
                yield from taken
            elif after_id:
                after_id = 0
            else:
                return


def _passes(works: Sequence[StageWork]) -> Iterator[_Pass]:
    """Group stages that work picture by picture, and let the next stage with a model run along.

    A stage that follows the texts waits until those are final, one that opens frames until it is known what
    moves.
    """
    together: list[StageWork] = []
    with_frames: list[StageWork] = []
    for work in works:
        if Needs.FRAMES in work.needs:
            with_frames.append(work)
            continue
        if not work.holds_back:
            together.append(work)
            continue
        if together:
            follows_text = any(stage.follows_text for stage in work.stages)
            yield _Pass(tuple(together), () if follows_text else (work,))
            together = []
        yield from (_Pass((one,)) for one in with_frames)
        with_frames = []
        yield _Pass((work,))
    if together:
        yield _Pass(tuple(together))
    yield from (_Pass((one,)) for one in with_frames)


def _reporting_missing(
    contents: Iterator[OpenedContent], progress: Progress
) -> Generator[OpenedContent, None, None]:
    """Pass contents on; a missing file produces no outcome, so its problem is reported here."""
    for content in contents:
        if isinstance(content.error, PictureNotFoundError):
            progress.problem(str(content.path), content.error)
        yield content

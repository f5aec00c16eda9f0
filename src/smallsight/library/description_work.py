"""Works on description runs: takes their due contents, describes them, and stores every answer once.

An answer, its version, its outcome, what is searched and the state of the run's content are one transaction.
Owns no thread and no model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import sqlalchemy as sa

from smallsight.errors import ModelClosedError, PictureNotFoundError, SmallsightError, UnexpectedPictureError
from smallsight.library.content_opener import ContentOpener
from smallsight.library.database import Database
from smallsight.library.describing import PictureDescriber
from smallsight.library.description_runs import (
    RunContentState,
    RunState,
    SkipReason,
    finish_if_done,
    skip_reason,
)
from smallsight.library.ledger import Ledger, OutcomeStatus, StageName, Task
from smallsight.library.opened_content import Needs, OpenedContent
from smallsight.library.outcomes import Ended, Outcomes, StageReport
from smallsight.library.progress import Unreported
from smallsight.library.read_files import ReadFiles
from smallsight.library.schema import content, description_run, description_run_content, outcome, picture
from smallsight.library.stages.answered import answered
from smallsight.library.stages.describe import DESCRIBE
from smallsight.library.stages.stage_work import CONTENTS_PER_LEASE
from smallsight.library.texts import renew_searchable, store_description
from smallsight.settings import Settings

_CONTENTS_PER_LOOK = 256  # that are skipped or failed in one transaction

OnSettled = Callable[[int | None, SmallsightError | None], None]
"""Called after a commit, with the content that was described or failed; None if some were skipped."""


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that can be worked on."""

    id: int
    model: str
    precision: str
    prompt: str | None
    replaces: bool
    force: bool


def next_run(connection: sa.Connection, ledger: Ledger) -> OpenRun | None:
    """Return the run to work on: forced ones first, then the oldest.

    A run whose contents are all held by other workers is left out.
    """
    run, of = description_run.c, description_run_content.c
    due = sa.exists().where(of.run_id == run.id, of.state == RunContentState.DUE)
    can_take = due.where(ledger.is_free(of.content_id, DESCRIBE))
    row = connection.execute(
        sa.select(run.id, run.model, run.precision, run.prompt, run.replaces, run.force)
        .where(run.state == RunState.RUNNING, sa.or_(can_take, ~due))
        .order_by(run.force.desc(), run.id)
        .limit(1)
    ).one_or_none()
    return None if row is None else OpenRun(*row)


def fail_content(
    connection: sa.Connection, run_id: int, content_id: int, error: SmallsightError, seconds: float | None
) -> None:
    """Record in a run that a content could not be described."""
    _settle(connection, run_id, content_id, RunContentState.FAILED, error.code, error.message, seconds)


class RunWork:
    """Works on one run with a describer, in the caller's thread."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        ledger: Ledger,
        run: OpenRun,
        describer: PictureDescriber,
        on_settled: OnSettled,
    ) -> None:
        self._database = database
        self._settings = settings
        self._ledger = ledger
        self._run = run
        self._describer = describer
        self._on_settled = on_settled
        self._outcomes = Outcomes(
            database,
            ledger,
            Unreported(),
            {DESCRIBE: StageReport()},
            renew_after_s=settings.index.lease_s / 4,
        )
        self._taken: dict[int, Task] = {}  # and not settled

    def work(self, should_stop: Callable[[], bool], *, one_only: bool = False) -> None:
        """Describe contents until none is left, should_stop returns True, or another run comes first.

        With ``one_only`` it takes a single content, and an unexpected error is that content's failure.
        Otherwise errors that are not about one picture are raised.
        """
        try:
            self._work(should_stop, one_only=one_only)
        except SmallsightError:
            raise
        except Exception as error:
            if not one_only:
                raise
            for task in list(self._taken.values()):
                failed = OpenedContent(task, error=UnexpectedPictureError.of(error))
                self._store(failed, failed.error or UnexpectedPictureError.of(error), 0.0)
        finally:
            self._taken.clear()
            with self._database.writing() as connection:
                self._ledger.release_all(connection)

    def _work(self, should_stop: Callable[[], bool], *, one_only: bool) -> None:
        wanted = Needs.FULL_SIZE | Needs.MOVING if self._describer.sees_videos else Needs.FULL_SIZE
        opener = ContentOpener(self._database, self._settings, ReadFiles(), {DESCRIBE: wanted})
        with ExitStack() as stack:
            tasks = self._tasks(should_stop, 1 if one_only else CONTENTS_PER_LEASE)
            contents = stack.enter_context(closing(opener.open_all(tasks, should_stop)))
            answers = stack.enter_context(
                closing(
                    answered(contents, self._is_asked, OpenedContent.take_shown, self._describer.describe)
                )
            )
            for opened, answer, seconds in answers:
                if isinstance(answer, ModelClosedError):
                    raise answer
                if answer is not None:
                    self._store(opened, answer, seconds)
                if should_stop() or not self._is_first():
                    return

    def _tasks(self, should_stop: Callable[[], bool], limit: int) -> Iterator[Task]:
        """Lease and yield due contents; skip and fail those that need no model."""
        while not should_stop():
            with self._database.writing() as connection:
                taken, num_settled = self._take(connection, limit)
                finish_if_done(connection, self._run.id)
            if num_settled:
                self._on_settled(None, None)
            self._taken |= {task.content_id: task for task in taken}
            yield from taken
            if limit == 1 and taken:
                return
            if not taken and not num_settled:
                return

    def _take(self, connection: sa.Connection, limit: int) -> tuple[list[Task], int]:
        """Lease up to limit contents; return them, and how many were settled without a model."""
        run = self._run
        chosen: dict[int, str] = {}
        num_settled = 0
        for row in connection.execute(self._free_contents()).all():
            reason = row.skipped or (SkipReason.SAME if row.is_same and not run.force else None)
            if reason is not None:
                _settle(connection, run.id, row.id, RunContentState.SKIPPED, reason)
            elif not row.is_present:
                fail_content(connection, run.id, row.id, _gone(), None)
            elif len(chosen) == limit:
                break
            else:
                chosen[row.id] = row.sha256
                continue
            num_settled += 1
        if chosen:
            connection.execute(
                description_run.update()
                .where(description_run.c.id == run.id, description_run.c.started_at_s.is_(None))
                .values(started_at_s=time.time())
            )
        return self._ledger.take_chosen(connection, chosen, DESCRIBE, self._describer.key), num_settled

    def _free_contents(self) -> sa.Select[tuple[int, str, str | None, bool, bool]]:
        """Select due contents that no worker holds, with what decides whether a model is needed."""
        of = description_run_content.c
        is_present = sa.exists().where(
            picture.c.content_id == content.c.id, picture.c.vanished_at_s.is_(None)
        )
        has_outcome = sa.exists().where(
            outcome.c.content_id == content.c.id,
            outcome.c.stage == DESCRIBE,
            outcome.c.key == self._describer.key,
            outcome.c.status == OutcomeStatus.DONE,
        )
        is_same = sa.and_(has_outcome, content.c.description_source == "machine")
        return (
            sa.select(
                content.c.id,
                content.c.sha256,
                skip_reason(replaces=self._run.replaces, force=self._run.force).label("skipped"),
                is_same.label("is_same"),
                is_present.label("is_present"),
            )
            .join(description_run_content, of.content_id == content.c.id)
            .join(description_run, description_run.c.id == of.run_id)
            .where(
                of.run_id == self._run.id,
                of.state == RunContentState.DUE,
                description_run.c.state == RunState.RUNNING,
                self._ledger.is_free(content.c.id, DESCRIBE),
            )
            .order_by(of.content_id)
            .limit(_CONTENTS_PER_LOOK)
        )

    def _is_asked(self, opened: OpenedContent) -> bool:
        error = opened.error or opened.full_size_error
        if error is not None:
            self._store(opened, error, 0.0)
        return error is None

    def _store(self, opened: OpenedContent, answer: str | SmallsightError, seconds: float) -> None:
        """Store what has become of a content; a missing file has no outcome, because a scan decides on it."""
        content_id, run_id = opened.task.content_id, self._run.id
        seconds += opened.take_opening_s()
        self._taken.pop(content_id, None)
        if isinstance(answer, PictureNotFoundError):
            with self._database.writing() as connection:
                self._ledger.release(connection, opened.task, DESCRIBE)
                fail_content(connection, run_id, content_id, answer, seconds)
                finish_if_done(connection, run_id)
            self._on_settled(content_id, answer)
            return
        error = answer if isinstance(answer, SmallsightError) else None
        stored: list[Ended] = []

        def write(connection: sa.Connection) -> None:
            if isinstance(answer, str) and store_description(
                connection, content_id, answer, self._describer.maker, self._settings.limits.max_text_chars
            ):
                renew_searchable(connection, [content_id])

        def settle(connection: sa.Connection, ended: Sequence[Ended]) -> None:
            stored[:] = ended
            if (failure := ended[0].error) is not None:
                fail_content(connection, run_id, content_id, failure, seconds)
            else:
                _settle(connection, run_id, content_id, RunContentState.DONE, seconds=seconds)
            finish_if_done(connection, run_id)

        if self._outcomes.store([Ended(opened, StageName(DESCRIBE), seconds, error)], write, settle):
            self._on_settled(content_id, stored[0].error)

    def _is_first(self) -> bool:
        """Return whether this run is still the one to work on: running, and no forced one waits."""
        run, of = description_run.c, description_run_content.c
        forced = sa.exists().where(
            run.id == of.run_id,
            run.force.is_(True),
            run.state == RunState.RUNNING,
            of.state == RunContentState.DUE,
            self._ledger.is_free(of.content_id, DESCRIBE),
        )
        with self._database.reading() as connection:
            state = connection.execute(sa.select(run.state).where(run.id == self._run.id)).scalar()
            if state != RunState.RUNNING:
                return False
            return self._run.force or not connection.execute(sa.select(forced)).scalar()


def _gone() -> PictureNotFoundError:
    return PictureNotFoundError("The file is gone.", hint="run `smallsight index` if it is elsewhere now.")


def _settle(
    connection: sa.Connection,
    run_id: int,
    content_id: int,
    state: RunContentState,
    code: str | None = None,
    message: str | None = None,
    seconds: float | None = None,
) -> None:
    of = description_run_content.c
    connection.execute(
        description_run_content.update()
        .where(of.run_id == run_id, of.content_id == content_id)
        .values(state=state, error_code=code, error=message, seconds=seconds, finished_at_s=time.time())
    )

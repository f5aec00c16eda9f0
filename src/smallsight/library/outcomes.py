"""Stores the outcomes of stages in one transaction with their results, then counts and reports them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from smallsight.errors import SmallsightError, UnexpectedPictureError
from smallsight.library.database import Database
from smallsight.library.ledger import LeaseLostError, Ledger, OutcomeStatus, StageName
from smallsight.library.opened_content import OpenedContent
from smallsight.library.progress import Progress
from smallsight.policy.log import get_logger

log = get_logger(__name__)


@dataclass(slots=True)
class StageReport:
    """The outcomes of one stage; ``seconds`` is time spent working, not waiting."""

    done: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A stage that has ended for one content, with or without an error."""

    content: OpenedContent
    stage: StageName
    seconds: float
    error: SmallsightError | None = None


def _nothing(_: sa.Connection) -> None:
    pass


def _ignored(_: sa.Connection, __: Sequence[Ended]) -> None:
    pass


class Outcomes:
    """Stores outcomes for one worker, counts them in ``stages``, and reports each once it is committed."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        progress: Progress,
        stages: dict[StageName, StageReport],
        *,
        renew_after_s: float,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._progress = progress
        self._stages = stages
        self._renew_after_s = renew_after_s
        self._renewed_at_s = time.monotonic()

    def store(
        self,
        ended: Sequence[Ended],
        write: Callable[[sa.Connection], object],
        settle: Callable[[sa.Connection, Sequence[Ended]], object] = _ignored,
    ) -> bool:
        """Store outcomes and call ``write`` with the connection, all in one transaction.

        A result that cannot be stored becomes an error of its content. ``settle`` is called in the same
        transaction with what has been stored: the outcomes, or those errors. Returns False if a lease was
        lost: then nothing is stored, counted or reported, and this worker's remaining leases on it are
        released.
        """
        try:
            try:
                self._store(ended, write, settle)
            except (SmallsightError, LeaseLostError):
                raise
            except Exception as error:
                log.info("picture_unexpected", path=str(ended[0].content.path), exc_info=True)
                ended = [replace(one, error=UnexpectedPictureError.of(error)) for one in ended]
                self._store(ended, _nothing, settle)
        except LeaseLostError as error:
            log.warning("result_dropped", why=str(error), action="its lease ran out before it was stored")
            with self._database.writing() as connection:
                for one in ended:
                    self._ledger.release(connection, one.content.task, one.stage)
            return False
        for one in ended:
            self._report(one)
        return True

    def _store(
        self,
        ended: Sequence[Ended],
        write: Callable[[sa.Connection], object],
        settle: Callable[[sa.Connection, Sequence[Ended]], object],
    ) -> None:
        with self._database.writing() as connection:
            for one in ended:
                self._ledger.finish(connection, one.content.task, one.stage, one.seconds, one.error)
            write(connection)
            settle(connection, ended)
            self._renew(connection)

    def _renew(self, connection: sa.Connection) -> None:
        """Extend this worker's leases in time, for work that is slower than a lease."""
        now_s = time.monotonic()
        if now_s - self._renewed_at_s >= self._renew_after_s:
            self._ledger.renew(connection)
            self._renewed_at_s = now_s

    def _report(self, one: Ended) -> None:
        report = self._stages[one.stage]
        report.done += one.error is None
        report.failed += one.error is not None
        report.seconds += one.seconds
        status = OutcomeStatus.DONE if one.error is None else OutcomeStatus.FAILED
        self._progress.stored(one.content.task.content_id, one.stage, status)
        if one.error is not None and one.error not in one.content.reported:
            one.content.reported.add(one.error)
            self._progress.problem(str(one.content.path), one.error)

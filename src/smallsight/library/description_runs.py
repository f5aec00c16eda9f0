"""Runs that describe many contents: started, paused, resumed, cancelled, listed with their progress.

The state is in the database, so that any process sees and changes it. What works on runs is in
``description_work``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.errors import ArgumentError, NotInLibraryError, SmallsightError
from smallsight.library.database import Database
from smallsight.library.ledger import OutcomeStatus
from smallsight.library.schema import (
    content,
    description_run,
    description_run_content,
    folder,
    outcome,
    picture,
)
from smallsight.library.stages.describe import DESCRIBE

MAX_RUNS = 200  # of those that have ended; older ones are forgotten
_RECENT = 30  # contents from which the rate is computed
_IDS_PER_STATEMENT = 500


class RunState(StrEnum):
    """Whether a run is worked on."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FINISHED = "finished"


class RunContentState(StrEnum):
    """What has become of one content of a run."""

    DUE = "due"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class SkipReason(StrEnum):
    """Why a content of a run was not described."""

    HUMAN = "human_description"  # a person or a file has described it
    DESCRIBED = "has_description"
    SAME = "already_described"  # by this model, with this prompt and these options
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to describe contents with.

    ``replaces`` describes again what a model has described. ``force`` describes whatever there is, before all
    other runs: over a person's description the answer is only kept as a version. ``prompt`` None is the one
    in the settings.
    """

    title: str
    model: str
    precision: str = "auto"
    prompt: str | None = None
    replaces: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class DescriptionRun:
    """A run and its progress; times are seconds since the epoch.

    ``error_code`` and ``error`` are why it was paused, if not by a person. ``skipped`` counts by reason.
    ``per_second`` and ``left_s`` are None while nothing is known about the speed.
    """

    id: int
    title: str
    model: str
    precision: str
    prompt: str | None
    replaces: bool
    force: bool
    state: RunState
    error_code: str | None
    error: str | None
    created_at_s: float
    started_at_s: float | None
    finished_at_s: float | None
    num_due: int
    num_done: int
    num_failed: int
    num_skipped: int
    skipped: Mapping[SkipReason, int]
    per_second: float | None
    left_s: float | None

    @property
    def num_contents(self) -> int:
        """All contents of the run."""
        return self.num_due + self.num_done + self.num_failed + self.num_skipped


@dataclass(frozen=True, slots=True)
class FailedContent:
    """A content that could not be described, and why; ``path`` is None if its files are gone."""

    content_id: int
    path: Path | None
    error_code: str
    error: str
    finished_at_s: float


def create_run(database: Database, content_ids: Sequence[int], request: RunRequest) -> int:
    """Store a run of these contents and return its id; contents that it leaves out are counted as skipped."""
    now_s = time.time()
    with database.writing() as connection:
        _forget_oldest(connection)
        values = {
            "title": request.title,
            "model": request.model,
            "precision": request.precision,
            "prompt": request.prompt,
            "replaces": request.replaces,
            "force": request.force,
        }
        row = connection.execute(
            description_run.insert().values(**values, state=RunState.RUNNING, created_at_s=now_s)
        )
        run_id = int((row.inserted_primary_key or (0,))[0])
        skipped = skip_reason(replaces=request.replaces, force=request.force)
        state = sa.case((skipped.is_(None), RunContentState.DUE), else_=RunContentState.SKIPPED)
        for start in range(0, len(content_ids), _IDS_PER_STATEMENT):
            some = list(content_ids[start : start + _IDS_PER_STATEMENT])
            contents = sa.select(sa.literal(run_id), content.c.id, state, skipped).where(
                content.c.id.in_(some)
            )
            names = ["run_id", "content_id", "state", "error_code"]
            connection.execute(
                insert(description_run_content).from_select(names, contents).on_conflict_do_nothing()
            )
        finish_if_done(connection, run_id)
    return run_id


def skip_reason(*, replaces: bool, force: bool) -> sa.ColumnElement[str | None]:
    """Return why a run leaves out the content of the enclosing query; NULL if it does not."""
    if force:
        return sa.cast(sa.null(), sa.Text)
    has_description = content.c.description.is_not(None)
    reasons = [(sa.and_(has_description, content.c.description_source == "human"), SkipReason.HUMAN.value)]
    if not replaces:
        reasons.append((has_description, SkipReason.DESCRIBED.value))
    return sa.case(*reasons, else_=sa.cast(sa.null(), sa.Text))


def list_runs(database: Database, limit: int = 50) -> list[DescriptionRun]:
    """Return the newest runs, newest first."""
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(description_run).order_by(description_run.c.id.desc()).limit(limit)
        ).mappings()
        return [_with_progress(connection, row) for row in rows.all()]


def get_run(database: Database, run_id: int) -> DescriptionRun:
    """Return a run with its progress; raises NotInLibraryError."""
    with database.reading() as connection:
        return _with_progress(connection, _row(connection, run_id))


def is_being_described(database: Database, content_id: int) -> bool:
    """Return whether a run that is worked on by force, for one picture, has this content left to do."""
    with database.cursor() as cursor:
        row = cursor.execute(
            """SELECT 1 FROM description_run_content JOIN description_run ON description_run.id = run_id
               WHERE content_id = ? AND description_run_content.state = 'due'
                 AND description_run.state = 'running' AND force LIMIT 1""",
            (content_id,),
        ).fetchone()
    return row is not None


def failures_of(
    database: Database, run_id: int, *, limit: int = 100, after_content_id: int = 0
) -> list[FailedContent]:
    """Return a page of the contents that failed, by content id; raises NotInLibraryError."""
    of = description_run_content.c
    paths = (
        sa.select(folder.c.path.concat("/").concat(picture.c.path))
        .join(folder, folder.c.id == picture.c.folder_id)
        .where(picture.c.content_id == of.content_id)
        .order_by(picture.c.vanished_at_s.is_not(None), picture.c.id)
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        sa.select(of.content_id, paths.label("path"), of.error_code, of.error, of.finished_at_s)
        .where(of.run_id == run_id, of.state == RunContentState.FAILED, of.content_id > after_content_id)
        .order_by(of.content_id)
        .limit(limit)
    )
    with database.reading() as connection:
        _row(connection, run_id)
        return [
            FailedContent(
                row.content_id,
                None if row.path is None else Path(row.path),
                row.error_code,
                row.error,
                row.finished_at_s,
            )
            for row in connection.execute(statement)
        ]


def pause_run(database: Database, run_id: int, reason: SmallsightError | None = None) -> None:
    """Pause a running run, for a reason if no person did; a run that has ended stays as it is."""
    values = {
        "state": RunState.PAUSED,
        "error_code": None if reason is None else reason.code,
        "error": None if reason is None else str(reason),
    }
    with database.writing() as connection:
        if _row(connection, run_id)["state"] == RunState.RUNNING:
            _update(connection, run_id, values)


def resume_run(database: Database, run_id: int) -> None:
    """Continue a paused run; raises ArgumentError for a cancelled one."""
    with database.writing() as connection:
        state = _row(connection, run_id)["state"]
        _refuse_cancelled(run_id, state)
        if state == RunState.PAUSED:
            _run(connection, run_id)


def cancel_run(database: Database, run_id: int) -> None:
    """End a run; what it has described stays, and the rest is skipped."""
    now_s = time.time()
    with database.writing() as connection:
        if _row(connection, run_id)["state"] in (RunState.CANCELLED, RunState.FINISHED):
            return
        _update(connection, run_id, {"state": RunState.CANCELLED, "finished_at_s": now_s})
        of = description_run_content.c
        connection.execute(
            description_run_content.update()
            .where(of.run_id == run_id, of.state == RunContentState.DUE)
            .values(state=RunContentState.SKIPPED, error_code=SkipReason.CANCELLED, finished_at_s=now_s)
        )


def retry_failed(database: Database, run_id: int) -> int:
    """Make the failed contents due again and continue the run; returns how many they are.

    Raises ArgumentError for a cancelled run.
    """
    of = description_run_content.c
    with database.writing() as connection:
        _refuse_cancelled(run_id, _row(connection, run_id)["state"])
        failed = sa.select(of.content_id).where(of.run_id == run_id, of.state == RunContentState.FAILED)
        connection.execute(
            outcome.delete().where(
                outcome.c.stage == DESCRIBE,
                outcome.c.status == OutcomeStatus.FAILED,
                outcome.c.content_id.in_(failed),
            )
        )
        again = connection.execute(
            description_run_content.update()
            .where(of.run_id == run_id, of.state == RunContentState.FAILED)
            .values(state=RunContentState.DUE, error_code=None, error=None, seconds=None, finished_at_s=None)
        )
        if again.rowcount:
            _run(connection, run_id)
        return again.rowcount


def finish_if_done(connection: sa.Connection, run_id: int) -> None:
    """Mark a run as finished if nothing of it is due."""
    of = description_run_content.c
    due = sa.exists().where(of.run_id == run_id, of.state == RunContentState.DUE)
    connection.execute(
        description_run.update()
        .where(
            description_run.c.id == run_id,
            description_run.c.state.in_((RunState.RUNNING, RunState.PAUSED)),
            ~due,
        )
        .values(state=RunState.FINISHED, finished_at_s=time.time(), error_code=None, error=None)
    )


def _run(connection: sa.Connection, run_id: int) -> None:
    values = {"state": RunState.RUNNING, "finished_at_s": None, "error_code": None, "error": None}
    _update(connection, run_id, values)


def _update(connection: sa.Connection, run_id: int, values: Mapping[str, Any]) -> None:
    connection.execute(description_run.update().where(description_run.c.id == run_id).values(**values))


def _refuse_cancelled(run_id: int, state: str) -> None:
    if state == RunState.CANCELLED:
        raise ArgumentError(f"Run {run_id} was cancelled.", hint="start a new one for what is left.")


def _row(connection: sa.Connection, run_id: int) -> sa.RowMapping:
    found = connection.execute(sa.select(description_run).where(description_run.c.id == run_id)).mappings()
    row = found.one_or_none()
    if row is None:
        raise NotInLibraryError(f"There is no description run {run_id}.")
    return row


def _with_progress(connection: sa.Connection, row: sa.RowMapping) -> DescriptionRun:
    of = description_run_content.c
    counts: dict[RunContentState, int] = dict.fromkeys(RunContentState, 0)
    skipped: dict[SkipReason, int] = {}
    counted = (
        sa.select(of.state, of.error_code, sa.func.count().label("number"))
        .where(of.run_id == row["id"])
        .group_by(of.state, of.error_code)
    )
    for one in connection.execute(counted):
        counts[RunContentState(one.state)] += one.number
        if one.state == RunContentState.SKIPPED:
            skipped[SkipReason(one.error_code)] = one.number
    per_second = _per_second(connection, row["id"])
    num_due = counts[RunContentState.DUE]
    is_moving = per_second is not None and row["state"] == RunState.RUNNING
    return DescriptionRun(
        **{**row, "state": RunState(row["state"])},
        num_due=num_due,
        num_done=counts[RunContentState.DONE],
        num_failed=counts[RunContentState.FAILED],
        num_skipped=counts[RunContentState.SKIPPED],
        skipped=skipped,
        per_second=per_second,
        left_s=num_due / per_second if is_moving and per_second is not None else None,
    )


def _per_second(connection: sa.Connection, run_id: int) -> float | None:
    """Return the rate of the last contents described, without the time in which the run was paused."""
    of = description_run_content.c
    recent = (
        sa.select(of.seconds)
        .where(of.run_id == run_id, of.finished_at_s.is_not(None), of.seconds.is_not(None))
        .order_by(of.finished_at_s.desc())
        .limit(_RECENT)
    )
    seconds = connection.execute(recent).scalars().all()
    return len(seconds) / sum(seconds) if seconds and sum(seconds) > 0 else None


def _forget_oldest(connection: sa.Connection) -> None:
    ended = description_run.c.state.in_((RunState.CANCELLED, RunState.FINISHED))
    newest = sa.select(description_run.c.id).where(ended).order_by(description_run.c.id.desc())
    connection.execute(
        description_run.delete().where(ended, description_run.c.id.not_in(newest.limit(MAX_RUNS)))
    )

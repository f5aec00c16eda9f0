"""The work ledger: which work is due, who is doing it, and how it ended.

There is no queue. Work is derived from state: a content lacks an outcome of a stage under the current key
(the program, model and settings that would make the result). A worker leases what it takes, and the lease is
released in the same transaction that stores the result. So a killed worker loses only its time, and a worker
whose lease expired cannot store a second result.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from smallsight.errors import SmallsightError
from smallsight.library.schema import content, folder, lease, outcome, picture

StageName = NewType("StageName", str)  # not an enum: each file in ``library/stages/`` defines its name
LOOK = StageName("look")  # all other stages wait for it
_TOKEN_CHARS = 32
# Text, because several are executed for each picture, and composing one takes longer than executing it.
_RELEASE = "DELETE FROM lease WHERE content_id = ? AND stage = ? AND token = ?"
_FINISH = """INSERT INTO outcome
    (content_id, stage, "key", status, error_code, error, seconds, finished_at_s)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (content_id, stage) DO UPDATE SET "key" = excluded."key", status = excluded.status,
    error_code = excluded.error_code, error = excluded.error, seconds = excluded.seconds,
    finished_at_s = excluded.finished_at_s"""
_RUNNER = "run-"  # how the tokens of workers begin that need no run lock


class OutcomeStatus(StrEnum):
    """How a stage ended for one content."""

    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage with its current key; with ``follows_text`` its results expire whenever a text changes.

    ``folders``, absolute paths, limits it to contents with a file below one of them. ``only`` limits it to
    contents that meet a condition, in terms of the content of the enclosing query.
    """

    name: StageName
    key: str
    follows_text: bool = False
    folders: tuple[str, ...] = ()
    only: sa.ColumnElement[bool] | None = field(default=None, compare=False)

    def expected_key(self) -> sa.ColumnElement[str]:
        """Return the key of an up-to-date outcome, for the content of the enclosing query."""
        if not self.follows_text:
            return sa.literal(self.key)
        return sa.literal(f"{self.key}:").concat(sa.cast(content.c.text_version, sa.Text))


@dataclass(frozen=True, slots=True)
class Task:
    """One content, and the stages that this worker has leased for it with the keys of their outcomes."""

    content_id: int
    sha256: str
    keys: dict[StageName, str]


class LeaseLostError(Exception):
    """The lease expired and another worker may have taken the work; nothing was stored."""


class Ledger:
    """Leases and finishes work for one worker. Every method runs in the caller's transaction."""

    def __init__(self, worker_token: str, lease_s: float) -> None:
        self._token = worker_token
        self._lease_s = lease_s

    def take(
        self,
        connection: sa.Connection,
        stages: Sequence[Stage],
        limit: int,
        after_id: int = 0,
        *,
        along: Sequence[Stage] = (),
    ) -> list[Task]:
        """Lease up to limit contents with ids above after_id that lack one of the stages, lowest id first.

        Stages in ``along`` that these contents lack are leased too. A stage other than ``look`` is due only
        once ``look`` is done or is among the stages taken.
        """
        now_s = time.time()
        every = [*stages, *along]
        due = _conditions(every, now_s)
        rows = connection.execute(
            sa.select(
                content.c.id,
                content.c.sha256,
                *(due[stage.name].label(f"due_{stage.name}") for stage in every),
                *(stage.expected_key().label(f"key_{stage.name}") for stage in every),
            )
            .where(content.c.id > after_id, _is_present(), sa.or_(*(due[stage.name] for stage in stages)))
            .order_by(content.c.id)
            .limit(limit)
        ).mappings()
        tasks = [
            Task(
                content_id=row["id"],
                sha256=row["sha256"],
                keys={s.name: row[f"key_{s.name}"] for s in every if row[f"due_{s.name}"]},
            )
            for row in rows
        ]
        self._lease(connection, tasks, now_s)
        return tasks

    def take_chosen(
        self, connection: sa.Connection, contents: Mapping[int, str], stage: StageName, key: str
    ) -> list[Task]:
        """Lease contents (id: hash) for a stage, whatever its outcome; the caller checks ``is_free``."""
        tasks = [Task(content_id, sha256, {stage: key}) for content_id, sha256 in contents.items()]
        self._lease(connection, tasks, time.time())
        return tasks

    def is_free(self, content_id: sa.ColumnElement[int], stage: StageName) -> sa.ColumnElement[bool]:
        """Return the condition that no other worker has leased a content, and this one has not either."""
        is_held = sa.or_(lease.c.expires_at_s > time.time(), lease.c.token == self._token)
        return ~sa.exists().where(lease.c.content_id == content_id, lease.c.stage == stage, is_held)

    def finish(
        self,
        connection: sa.Connection,
        task: Task,
        stage: StageName,
        seconds: float,
        error: SmallsightError | None = None,
    ) -> None:
        """Store the outcome of a stage and release its lease, in the transaction that stores the result.

        Raises LeaseLostError if this worker no longer holds the lease.
        """
        released = connection.exec_driver_sql(_RELEASE, (task.content_id, stage, self._token))
        if released.rowcount != 1:
            message = f"content {task.content_id}, stage {stage}"
            raise LeaseLostError(message)
        status = OutcomeStatus.DONE if error is None else OutcomeStatus.FAILED
        why = (None, None) if error is None else (error.code, error.message)
        row = (task.content_id, stage, task.keys[stage], str(status), *why, seconds, time.time())
        connection.exec_driver_sql(_FINISH, row)

    def renew(self, connection: sa.Connection) -> None:
        """Extend all leases of this worker by a full term; for work slower than a lease."""
        connection.execute(
            lease.update()
            .where(lease.c.token == self._token)
            .values(expires_at_s=time.time() + self._lease_s)
        )

    def release(self, connection: sa.Connection, task: Task, stage: StageName) -> None:
        """Release the lease on a stage if this worker holds it; without an outcome the stage stays due."""
        connection.exec_driver_sql(_RELEASE, (task.content_id, stage, self._token))

    def release_all(self, connection: sa.Connection) -> None:
        """Release all leases of this worker, so that any worker can take the work at once."""
        connection.execute(lease.delete().where(lease.c.token == self._token))

    def _lease(self, connection: sa.Connection, tasks: Sequence[Task], now_s: float) -> None:
        rows = [
            {
                "content_id": task.content_id,
                "stage": stage,
                "token": self._token,
                "expires_at_s": now_s + self._lease_s,
            }
            for task in tasks
            for stage in task.keys
        ]
        if rows:
            statement = insert(lease)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["content_id", "stage"],
                    set_={
                        "token": statement.excluded.token,
                        "expires_at_s": statement.excluded.expires_at_s,
                    },
                ),
                rows,
            )


def count_due(connection: sa.Connection, stages: Sequence[Stage], along: Sequence[Stage] = ()) -> int:
    """Count the contents that lack at least one of the stages, and one of ``along`` if there are any."""
    due = _conditions([*stages, *along], time.time())
    statement = sa.select(sa.func.count()).select_from(content).where(_is_present())
    for some in (stages, along):
        if some:
            statement = statement.where(sa.or_(*(due[stage.name] for stage in some)))
    return int(connection.execute(statement).scalar_one())


def drop_abandoned_leases(connection: sa.Connection) -> None:
    """Delete the leases of dead index runs; valid only for the process that holds the run lock."""
    connection.execute(lease.delete().where(~lease.c.token.startswith(_RUNNER)))


def runner_token() -> str:
    """Return a new token for a worker of description runs, whose leases an index run respects."""
    return f"{_RUNNER}{uuid.uuid4().hex[: _TOKEN_CHARS - len(_RUNNER)]}"


def drop_runner_leases(connection: sa.Connection) -> None:
    """Delete the leases of dead workers of description runs; valid only for the process with their lock."""
    connection.execute(lease.delete().where(lease.c.token.startswith(_RUNNER)))


def forget_failures(connection: sa.Connection) -> int:
    """Make all failed work due again and return how many outcomes that was; files are reported again."""
    connection.execute(picture.update().where(picture.c.content_id.is_(None)).values(error=None))
    return connection.execute(outcome.delete().where(outcome.c.status == OutcomeStatus.FAILED)).rowcount


def forget_solved(connection: sa.Connection, stages: Sequence[Stage], errors: Sequence[str]) -> int:
    """Make failed work of these stages due again where one of these errors was why."""
    of = outcome.c
    is_wanted = of.stage.in_([stage.name for stage in stages]) & (of.status == OutcomeStatus.FAILED)
    return connection.execute(outcome.delete().where(is_wanted, of.error.in_(errors))).rowcount


def _is_present() -> sa.ColumnElement[bool]:
    return sa.exists().where(picture.c.content_id == content.c.id, picture.c.vanished_at_s.is_(None))


def _lies_below(folders: Sequence[str]) -> sa.ColumnElement[bool]:
    path = folder.c.path.concat("/").concat(picture.c.path)
    prefixes = [f"{one.rstrip('/')}/" for one in folders]
    return sa.exists().where(
        picture.c.content_id == content.c.id,
        picture.c.folder_id == folder.c.id,
        picture.c.vanished_at_s.is_(None),
        sa.or_(*(sa.func.substr(path, 1, len(prefix)) == prefix for prefix in prefixes)),
    )


def _conditions(stages: Sequence[Stage], now_s: float) -> dict[StageName, sa.ColumnElement[bool]]:
    """Return the condition under which each stage is due when all are taken together."""
    can_look = any(stage.name == LOOK for stage in stages)
    return {stage.name: _is_due(stage, now_s, can_look=can_look) for stage in stages}


def _is_due(stage: Stage, now_s: float, *, can_look: bool) -> sa.ColumnElement[bool]:
    """Return the condition that the content of the enclosing query has no current outcome and no lease."""
    has_outcome = sa.exists().where(
        outcome.c.content_id == content.c.id,
        outcome.c.stage == stage.name,
        outcome.c.key == stage.expected_key(),
    )
    is_leased = sa.exists().where(
        lease.c.content_id == content.c.id, lease.c.stage == stage.name, lease.c.expires_at_s > now_s
    )
    conditions = [~has_outcome, ~is_leased]
    if stage.name != LOOK:
        looked = sa.exists().where(outcome.c.content_id == content.c.id, outcome.c.stage == LOOK)
        decoded = looked.where(outcome.c.status == OutcomeStatus.DONE)
        conditions.append(sa.or_(decoded, ~looked) if can_look else decoded)
    if stage.only is not None:
        conditions.append(stage.only)
    if stage.folders:
        conditions.append(_lies_below(stage.folders))
    return sa.and_(*conditions)

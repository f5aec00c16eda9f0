from __future__ import annotations

import pytest
import sqlalchemy as sa

from smallsight.errors import CorruptPictureError
from smallsight.library import ledger as ledger_module
from smallsight.library.database import Database
from smallsight.library.ledger import (
    LeaseLostError,
    Ledger,
    OutcomeStatus,
    Stage,
    StageName,
    Task,
    count_due,
    drop_abandoned_leases,
    forget_failures,
)
from smallsight.library.schema import content, folder, lease, outcome, picture

LOOK = Stage(StageName("look"), "look-1")
READ = Stage(StageName("read"), "read-1")
EMBED = Stage(StageName("embed"), "embed-1", follows_text=True)


@pytest.fixture
def filled(database: Database) -> Database:
    """Five contents with a file each."""
    with database.writing() as connection:
        connection.execute(folder.insert().values(id=1, path="/p", added_at_s=0.0))
        for number in range(1, 6):
            connection.execute(content.insert().values(id=number, sha256=f"{number:064}", size_bytes=1))
            connection.execute(
                picture.insert().values(
                    folder_id=1,
                    path=f"{number}.jpg",
                    size_bytes=1,
                    mtime_ns=1,
                    content_id=number,
                    seen_at_s=0.0,
                )
            )
    return database


def take(
    database: Database, ledger: Ledger, stages: list[Stage], limit: int = 10, after: int = 0
) -> list[Task]:
    with database.writing() as connection:
        return ledger.take(connection, stages, limit, after)


def finish(database: Database, ledger: Ledger, task: Task, stage: StageName, failed: bool = False) -> None:
    with database.writing() as connection:
        ledger.finish(connection, task, stage, 0.1, CorruptPictureError("no") if failed else None)


def test_work_is_what_lacks_an_outcome_lowest_first(filled: Database):
    ledger = Ledger("a", 60)
    tasks = take(filled, ledger, [LOOK], limit=3)
    assert [task.content_id for task in tasks] == [1, 2, 3]
    assert [task.content_id for task in take(filled, ledger, [LOOK])] == [4, 5]
    assert take(filled, ledger, [LOOK]) == []


def test_a_finished_stage_is_due_again_only_under_another_key(filled: Database):
    ledger = Ledger("a", 60)
    for task in take(filled, ledger, [LOOK]):
        finish(filled, ledger, task, LOOK.name)
    assert take(filled, ledger, [LOOK]) == []
    assert len(take(filled, ledger, [Stage(LOOK.name, "look-2")])) == 5


def test_later_stages_wait_for_the_look(filled: Database):
    ledger = Ledger("a", 60)
    assert take(filled, ledger, [READ]) == []
    tasks = take(filled, ledger, [LOOK, READ], limit=1)
    assert set(tasks[0].keys) == {LOOK.name, READ.name}
    finish(filled, ledger, tasks[0], LOOK.name)
    with filled.writing() as connection:
        ledger.release_all(connection)
    again = take(filled, ledger, [LOOK, READ], limit=1)
    assert again[0].keys == {READ.name: "read-1"}


def test_a_content_that_cannot_be_decoded_is_not_read(filled: Database):
    ledger = Ledger("a", 60)
    task = take(filled, ledger, [LOOK], limit=1)[0]
    finish(filled, ledger, task, LOOK.name, failed=True)
    assert all(task.content_id != 1 for task in take(filled, ledger, [READ]))
    assert all(task.content_id != 1 for task in take(filled, ledger, [LOOK, READ]))


def test_vectors_are_due_again_when_a_text_changes(filled: Database):
    ledger = Ledger("a", 60)
    for task in take(filled, ledger, [LOOK]):
        finish(filled, ledger, task, LOOK.name)
    for task in take(filled, ledger, [EMBED]):
        finish(filled, ledger, task, EMBED.name)
    assert take(filled, ledger, [EMBED]) == []
    with filled.writing() as connection:
        connection.execute(content.update().where(content.c.id == 3).values(text_version=7))
    assert [task.content_id for task in take(filled, ledger, [EMBED])] == [3]


def test_files_that_vanished_make_no_work(filled: Database):
    with filled.writing() as connection:
        connection.execute(picture.update().where(picture.c.id == 2).values(vanished_at_s=1.0))
    with filled.reading() as connection:
        assert count_due(connection, [LOOK]) == 4
    assert [task.content_id for task in take(filled, Ledger("a", 60), [LOOK])] == [1, 3, 4, 5]


def test_two_workers_never_hold_the_same_work(filled: Database):
    first = {task.content_id for task in take(filled, Ledger("a", 60), [LOOK], limit=3)}
    second = {task.content_id for task in take(filled, Ledger("b", 60), [LOOK], limit=3)}
    assert first | second == {1, 2, 3, 4, 5}
    assert not first & second


def test_a_lease_that_ran_out_goes_to_another_and_fences_the_first(
    filled: Database, monkeypatch: pytest.MonkeyPatch
):
    slow, quick = Ledger("slow", 10), Ledger("quick", 10)
    task = take(filled, slow, [LOOK], limit=1)[0]
    now_s = ledger_module.time.time()
    monkeypatch.setattr(ledger_module.time, "time", lambda: now_s + 11)
    taken_over = take(filled, quick, [LOOK], limit=1)[0]
    assert taken_over.content_id == task.content_id
    with pytest.raises(LeaseLostError):
        finish(filled, slow, task, LOOK.name)
    finish(filled, quick, taken_over, LOOK.name)
    with filled.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(outcome)).scalar_one() == 1


def test_a_result_cannot_be_stored_twice(filled: Database):
    ledger = Ledger("a", 60)
    task = take(filled, ledger, [LOOK], limit=1)[0]
    finish(filled, ledger, task, LOOK.name)
    with pytest.raises(LeaseLostError):
        finish(filled, ledger, task, LOOK.name)


def test_given_back_and_abandoned_work_can_be_taken_at_once(filled: Database):
    dead, alive = Ledger("dead", 1000), Ledger("alive", 1000)
    take(filled, dead, [LOOK])
    assert take(filled, alive, [LOOK]) == []
    with filled.writing() as connection:
        drop_abandoned_leases(connection)
    assert len(take(filled, alive, [LOOK])) == 5
    with filled.writing() as connection:
        alive.release_all(connection)
        assert connection.execute(sa.select(lease)).all() == []


def test_failures_are_kept_until_forgotten(filled: Database):
    ledger = Ledger("a", 60)
    task = take(filled, ledger, [LOOK], limit=1)[0]
    finish(filled, ledger, task, LOOK.name, failed=True)
    with filled.reading() as connection:
        row = connection.execute(sa.select(outcome)).one()
    assert (row.status, row.error_code, row.error) == (OutcomeStatus.FAILED, "corrupt_picture", "no")
    with filled.writing() as connection:
        assert forget_failures(connection) == 1
    assert take(filled, ledger, [LOOK], limit=1)[0].content_id == 1


def test_taking_goes_on_past_an_id(filled: Database):
    ledger = Ledger("a", 60)
    assert [task.content_id for task in take(filled, ledger, [LOOK], limit=2, after=3)] == [4, 5]


def test_a_renewed_lease_lasts_from_then_on(filled: Database, monkeypatch: pytest.MonkeyPatch):
    slow, other = Ledger("slow", 60), Ledger("other", 60)
    now_s = ledger_module.time.time()
    assert len(take(filled, slow, [LOOK])) == 5
    monkeypatch.setattr(ledger_module.time, "time", lambda: now_s + 50)
    with filled.writing() as connection:
        slow.renew(connection)
        other.renew(connection)
    monkeypatch.setattr(ledger_module.time, "time", lambda: now_s + 100)
    assert take(filled, other, [LOOK]) == []
    monkeypatch.setattr(ledger_module.time, "time", lambda: now_s + 120)
    assert len(take(filled, other, [LOOK])) == 5

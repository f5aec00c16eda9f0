"""Kills of a process that describes in bulk lose nothing and repeat nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing

import sqlalchemy as sa

from forked_commands import ForkedProcess, command_server
from runner_place import Place, request, texts_with_vectors, wait_until
from scale import scaled
from smallsight.library.description_runs import (
    RunState,
    create_run,
)
from smallsight.library.description_versions import versions_of
from smallsight.library.schema import chunk, lease, outcome

IS_WHOLE = scaled(1) > 1
NUM_KILLS, NUM_KILLED_PICTURES = (20, 500) if IS_WHOLE else (3, 60)


def start_process(place: Place) -> ForkedProcess:
    """Start a process that works on the runs."""
    folders = (str(place.settings.home), str(place.settings.embedding.model_dir))
    program = f"import runner_program; runner_program.main(*{folders!r})"
    return command_server().start(program, os.environ, err=str(place.pictures.with_name("errors")))


def kill(process: ForkedProcess) -> int:
    """Kill the process and return its exit code."""
    process.kill()
    return process.wait()


def count_settlings(place: Place) -> None:
    """Let the database note every time that a content is described, which versions would hide."""
    with closing(sqlite3.connect(place.settings.database_path)) as connection:
        connection.executescript(
            "CREATE TABLE settled (content_id INTEGER);"
            "CREATE TRIGGER note AFTER UPDATE OF state ON description_run_content WHEN NEW.state = 'done' "
            "BEGIN INSERT INTO settled VALUES (NEW.content_id); END;"
        )


def test_kills_lose_nothing_and_repeat_nothing(place: Place):
    names = [f"picture {number} of many.png" for number in range(NUM_KILLED_PICTURES)]
    ids = place.add(names)
    count_settlings(place)
    run_id = create_run(place.database, ids, request())
    killed_at = []
    for number in range(1, NUM_KILLS + 1):
        goal = number * NUM_KILLED_PICTURES // (2 * (NUM_KILLS + 1))  # the other half is still to be done
        process = start_process(place)
        wait_until(lambda: place.run(run_id).num_done >= goal)  # noqa: B023
        assert kill(process) == -signal.SIGKILL
        killed_at.append(place.run(run_id).num_done)
    assert all(0 < number < NUM_KILLED_PICTURES for number in killed_at)
    assert start_process(place).wait() == 0, place.pictures.with_name("errors").read_text()
    run = place.run(run_id)
    assert (run.state, run.num_done, run.num_failed) == (RunState.FINISHED, len(ids), 0)
    assert set(place.descriptions()) == set(ids)
    assert {len(versions_of(place.database, one)) for one in ids} == {1}
    with place.database.reading() as connection:
        settled = connection.exec_driver_sql("SELECT content_id FROM settled").scalars().all()
        assert connection.execute(sa.select(lease)).all() == []
    assert sorted(settled) == sorted(ids)


def test_what_was_described_before_a_kill_is_embedded_after_it(embedding_place: Place):
    place = embedding_place
    ids = place.add(["red cat.png", "blue dog.png"], are_looked_at=True)
    run_id = create_run(place.database, ids, request())
    process = start_process(place)
    wait_until(lambda: place.run(run_id).num_done == 2)
    assert kill(process) in (-signal.SIGKILL, 0)
    with place.database.writing() as connection:  # whatever it managed to embed
        connection.execute(chunk.delete())
        connection.execute(outcome.delete().where(outcome.c.stage == "embed"))
    place.start()
    wait_until(lambda: {"red cat", "blue dog"} <= texts_with_vectors(place))

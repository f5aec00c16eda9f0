"""Bulk descriptions on a real library: each picture once, whatever happens to the process or the model."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from runner_place import Place, num_described_by_index, num_leases, request, texts_with_vectors, wait_until
from smallsight.errors import (
    ArgumentError,
    BrokenCheckpointError,
    NotInLibraryError,
    RemoteModelError,
    UnknownModelError,
)
from smallsight.library.description_runs import (
    RunState,
    SkipReason,
    cancel_run,
    create_run,
    failures_of,
    list_runs,
)
from smallsight.library.description_versions import versions_of
from smallsight.library.edits import WordChange, edit_contents
from smallsight.library.ledger import Ledger
from smallsight.library.schema import content, lease, outcome
from smallsight.library.stages.describe import DESCRIBE
from smallsight.services.application import Application


def test_a_run_describes_what_was_found_and_leaves_nothing_to_an_index_run(embedding_place: Place):
    place = embedding_place
    ids = place.add(["red cat.png", "blue dog.png", "mine.png"], are_looked_at=True)
    edit_contents(place.database, ids[2:], WordChange(description="my own words"))
    runner = place.start()
    run_id = runner.begin(ids, request())
    run = place.wait_for(run_id, RunState.FINISHED)
    assert (run.num_done, run.skipped, run.num_due, run.num_contents) == (2, {SkipReason.HUMAN: 1}, 0, 3)
    assert place.descriptions() == {ids[0]: "red cat", ids[1]: "blue dog", ids[2]: "my own words"}
    assert place.application.word_searcher.find_all("dog") == [ids[1]]
    wait_until(lambda: {"red cat", "blue dog"} <= texts_with_vectors(place))
    assert run.per_second is not None
    assert run_id in place.changes
    with place.database.reading() as connection:
        keys = connection.execute(sa.select(outcome.c.key).where(outcome.c.stage == DESCRIBE)).scalars().all()
        assert len(keys) == 2
        assert connection.execute(sa.select(lease)).all() == []
    runner.stop(30)
    assert num_described_by_index(place) == 0


def test_the_shipped_model_describes_through_the_lender(place: Place):
    ids = place.add(["a.png"])
    run_id = place.start().begin(ids, request(model="Smallsight-tiny", precision="int8"))
    assert place.wait_for(run_id, RunState.FINISHED).num_done == 1
    (version,) = versions_of(place.database, ids[0])
    assert (version.model, version.precision, version.is_current) == ("Smallsight-tiny", "int8", True)


def test_an_index_run_beside_it_leaves_what_is_in_progress_alone(embedding_place: Place):
    place = embedding_place
    ids = place.add(["red cat.png", "blue dog.png"], are_looked_at=True)
    place.steering.gate.clear()
    run_id = place.start().begin(ids, request())
    wait_until(lambda: num_leases(place) == 2)
    assert num_described_by_index(place) == 0
    place.steering.gate.set()
    assert place.wait_for(run_id, RunState.FINISHED).num_done == 2
    assert sorted(place.steering.described) == ["blue dog", "red cat"]


def test_what_an_index_run_holds_is_left_to_it_and_skipped_once_described(place: Place):
    ids = place.add(["red cat.png", "blue dog.png"])
    index = Ledger("index", 120)
    with place.database.writing() as connection:
        index.take_chosen(connection, {ids[0]: "-"}, DESCRIBE, "k")
    run_id = place.start().begin(ids, request())
    wait_until(lambda: place.run(run_id).num_done == 1)
    assert place.descriptions() == {ids[1]: "blue dog"}
    with place.database.writing() as connection:
        connection.execute(
            content.update()
            .where(content.c.id == ids[0])
            .values(description="theirs", description_source="machine")
        )
        index.release_all(connection)
    assert place.wait_for(run_id, RunState.FINISHED).skipped == {SkipReason.DESCRIBED: 1}
    assert place.descriptions()[ids[0]] == "theirs"


def test_a_paused_run_goes_on_where_it_was_and_repeats_nothing(place: Place):
    ids = place.add([f"picture {number}.png" for number in range(6)])
    place.steering.gate.clear()
    runner = place.start()
    run_id = runner.begin(ids, request())
    wait_until(lambda: num_leases(place) > 0)
    runner.pause(run_id)
    place.steering.gate.set()
    wait_until(lambda: num_leases(place) == 0)
    paused = place.run(run_id)
    assert (paused.state, paused.left_s) == (RunState.PAUSED, None)
    assert paused.num_due >= 5
    runner.resume(run_id)
    assert place.wait_for(run_id, RunState.FINISHED).num_done == 6
    assert [len(versions_of(place.database, one)) for one in ids] == [1] * 6


def test_a_cancelled_run_keeps_what_is_done_and_cannot_be_continued(place: Place):
    ids = place.add(["a.png", "b.png"])
    run_id = create_run(place.database, ids, request())
    cancel_run(place.database, run_id)
    run = place.run(run_id)
    assert (run.state, run.skipped, run.num_due) == (RunState.CANCELLED, {SkipReason.CANCELLED: 2}, 0)
    for change in (place.start().resume, place.start().retry_failed):
        with pytest.raises(ArgumentError, match=f"Run {run_id} was cancelled"):
            change(run_id)


def test_pictures_that_fail_have_a_reason_and_are_tried_again(place: Place):
    ids = place.add(["good.png", "gone.png", "odd.png"])
    (place.pictures / "bad.png").write_bytes((place.pictures / "good.png").read_bytes()[:60])
    place.scan()
    ids.append(place.library.find_content(place.pictures / "bad.png"))
    saved = (place.pictures / "gone.png").read_bytes()
    (place.pictures / "gone.png").unlink()
    place.steering.faults["odd"] = RuntimeError("a fault of ours")
    runner = place.start()
    run_id = runner.begin(ids, request())
    run = place.wait_for(run_id, RunState.FINISHED)
    assert (run.num_done, run.num_failed) == (1, 3)
    failed = {one.path.name: one.error_code for one in failures_of(place.database, run_id) if one.path}
    assert failed == {
        "bad.png": "corrupt_picture",
        "gone.png": "picture_not_found",
        "odd.png": "unexpected",
    }
    place.steering.faults.clear()
    (place.pictures / "gone.png").write_bytes(saved)
    assert runner.retry_failed(run_id) == 3
    assert place.wait_for(run_id, RunState.FINISHED).num_done == 3
    assert [one.content_id for one in failures_of(place.database, run_id)] == ids[3:]


def test_a_model_that_cannot_be_loaded_pauses_the_run_with_the_reason(place: Place):
    ids = place.add(["red cat.png"])
    place.steering.load_error = BrokenCheckpointError("The weights end too soon.")
    runner = place.start()
    run_id = runner.begin(ids, request())
    paused = place.wait_for(run_id, RunState.PAUSED)
    assert (paused.error_code, paused.error) == ("broken_checkpoint", "The weights end too soon.")
    assert paused.num_due == 1
    place.steering.load_error = None
    runner.resume(run_id)
    assert place.wait_for(run_id, RunState.FINISHED).error is None


def test_a_model_that_fails_again_and_again_pauses_the_run(place: Place):
    names = [f"p{number}" for number in range(7)]
    ids = place.add([f"{name}.png" for name in names])
    place.steering.faults |= dict.fromkeys(names, RemoteModelError("The server is away."))
    runner = place.start()
    run_id = runner.begin(ids, request())
    paused = place.wait_for(run_id, RunState.PAUSED)
    assert (paused.num_failed, paused.num_due, paused.error) == (5, 2, "The server is away.")
    place.steering.faults.clear()
    runner.resume(run_id)
    runner.retry_failed(run_id)
    wait_until(lambda: place.run(run_id).num_done == 7)


def test_a_persons_words_are_never_overwritten_and_the_answer_is_offered(place: Place):
    ids = place.add(["red cat.png", "blue dog.png"])
    edit_contents(place.database, ids[:1], WordChange(description="my cat"))
    place.steering.gate.clear()
    runner = place.start()
    during = runner.begin(ids[1:], request())
    wait_until(lambda: num_leases(place) == 1)
    edit_contents(place.database, ids[1:], WordChange(description="my dog"))
    place.steering.gate.set()
    place.wait_for(during, RunState.FINISHED)
    run_id = runner.regenerate(ids[0], model="test", title="red cat.png")
    assert place.wait_for(run_id, RunState.FINISHED).num_done == 1
    assert place.descriptions() == {ids[0]: "my cat", ids[1]: "my dog"}
    assert [(one.text, one.is_current) for one in versions_of(place.database, ids[0])] == [
        ("red cat", False),
        ("my cat", True),
    ]


def test_one_picture_comes_before_a_long_run(place: Place):
    ids = place.add([f"p{number}.png" for number in range(20)])
    place.steering.gate.clear()
    runner = place.start()
    run_id = runner.begin(ids[:-1], request())
    wait_until(lambda: num_leases(place) > 0)
    urgent = runner.regenerate(ids[-1], model="test", title="p19.png")
    place.steering.gate.set()
    place.wait_for(urgent, RunState.FINISHED)
    assert place.steering.described.index("p19") < 5
    assert place.wait_for(run_id, RunState.FINISHED).num_done == 19


def test_which_contents_are_described_again(place: Place):
    ids = place.add(["red cat.png", "blue dog.png"])
    runner = place.start()
    place.wait_for(runner.begin(ids[:1], request()), RunState.FINISHED)
    new = create_run(place.database, ids, request())
    assert place.run(new).skipped == {SkipReason.DESCRIBED: 1}
    place.wait_for(new, RunState.FINISHED)
    again = place.wait_for(runner.begin(ids, request(replaces=True)), RunState.FINISHED)
    assert again.skipped == {SkipReason.SAME: 2}
    other = place.wait_for(runner.begin(ids, request(replaces=True, prompt="Why?")), RunState.FINISHED)
    assert other.num_done == 2
    assert [one.id for one in list_runs(place.database)][:2] == [other.id, again.id]


def test_a_run_needs_a_model_that_is_known_and_a_run_that_is_there(place: Place, tmp_path: Path):
    runner = place.start()
    for name in ("no such model", str(tmp_path)):
        with pytest.raises(UnknownModelError):
            runner.begin([], request(model=name))
    for change in (runner.pause, runner.resume, runner.cancel, runner.retry_failed, runner.snapshot):
        with pytest.raises(NotInLibraryError, match="no description run 99"):
            change(99)
    assert list_runs(place.database) == []


def test_only_one_of_two_processes_works_and_the_other_takes_over(place: Place):
    ids = place.add(["red cat.png", "blue dog.png"])
    first = place.start()
    run_id = first.begin(ids[:1], request())
    place.wait_for(run_id, RunState.FINISHED)
    other = place.stack.enter_context(Application(place.settings, for_writing=True))
    second = place.start(other)
    place.wait_for(second.begin(ids[1:], request()), RunState.FINISHED)
    assert [one.num_loads for one in place.lenders] == [1, 0]
    assert first.stop(30)
    again = second.begin(ids, request(replaces=True, prompt="Why?"))
    assert place.wait_for(again, RunState.FINISHED).num_done == 2
    assert [one.num_loads for one in place.lenders] == [1, 1]

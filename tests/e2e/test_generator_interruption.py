"""The generator may be killed and its application may be away at any moment: nothing is lost or invented."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from e2e.generating import Generator, Receiver, settles, told
from scale import scaled

NUM_KILLS = scaled(5)
NUM_JOBS = scaled(10)  # 50 kills over 100 jobs with SMALLSIGHT_TEST_SCALE=10


@pytest.fixture
def receiver(tmp_path: Path):
    receiver = Receiver(tmp_path)
    yield receiver
    receiver.stop()


def without_repeats(told_of_one: list[int | str]) -> list[int | str]:
    """Return what an application notices: a status that it has already is nothing new."""
    return [one for index, one in enumerate(told_of_one) if index == 0 or told_of_one[index - 1] != one]


@pytest.mark.slow
def test_kills_lose_no_job_and_invent_none(tmp_path: Path, receiver: Receiver):
    chance = random.Random(20)
    generator = Generator(tmp_path, receiver.port, test_delay_s="0.05", batch="2")
    names = [generator.draw(f"{number}.png", number) for number in range(NUM_JOBS)]
    accepted, num_kills = 0, 0
    while num_kills < NUM_KILLS or accepted < NUM_JOBS:
        while accepted < min(NUM_JOBS, (num_kills + 1) * NUM_JOBS // NUM_KILLS):
            assert generator.add(accepted, names[accepted]).status_code == 200
            accepted += 1
        time.sleep(chance.uniform(0, 0.15))
        generator.kill()
        num_kills += 1
        generator.start()
    settles(lambda: generator.num_jobs() == 0, generator)
    settles(lambda: all(3 in map(told, receiver.of(one)) for one in range(NUM_JOBS)), generator)
    assert generator.stop() == 0
    num_repeated = 0
    for number in range(NUM_JOBS):
        data = receiver.of(number)
        assert {one["attempt_id"] for one in data} == {100 + number}
        got = without_repeats([told(one) for one in data])
        text = f"Test description for {number}"
        assert got == [1, 2, text, 3], f"{number}: {got}"
        num_repeated += Counter(map(told, data))[text] - 1
    print(f"{NUM_JOBS} jobs, {num_kills} kills, 0 lost, {num_repeated} descriptions sent again")


def test_what_the_application_misses_arrives_later_in_order_also_after_a_restart(
    tmp_path: Path, receiver: Receiver
):
    receiver.stop()
    generator = Generator(tmp_path, receiver.port)
    path = generator.draw("away.png")
    for number in range(5):
        assert generator.add(number, path).status_code == 200
    settles(lambda: generator.num_jobs() == 0, generator)
    assert receiver.all() == []
    assert generator.undelivered()[0]["ended_s"] is None
    generator.kill()
    generator.start()
    receiver.start()
    settles(lambda: all(len(receiver.of(number)) == 4 for number in range(5)), generator)
    for number in range(5):
        assert [told(data) for data in receiver.of(number)] == [1, 2, "Test description for away", 3]
    settles(lambda: generator.undelivered() == [], generator)

    receiver.answer_with(500)
    generator.add(6, path)
    settles(lambda: len([one for one in receiver.all() if one["status"] == 500]) >= 3, generator)
    receiver.answer_with(204)
    settles(lambda: len(receiver.of(6)) == 4, generator)
    assert [told(data) for data in receiver.of(6)] == [1, 2, "Test description for away", 3]

    receiver.answer_with(401)  # an attempt that the application does not know any more: final, and shown
    generator.add(7, path)
    settles(lambda: len(generator.undelivered()) == 4, generator)
    assert {one["why"] for one in generator.undelivered()} == {"response code 401"}
    assert all(one["ended_s"] is not None and one["num_tries"] == 0 for one in generator.undelivered())
    refused = [one for one in receiver.all() if one["status"] == 401]
    assert [told(one["body"]["data"]) for one in refused] == [1, 2, "Test description for away", 3]
    assert generator.stop() == 0

"""What threads deliver to an event loop arrives whole, in order, and with few wake-ups."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from smallsight.services.arrivals import Arrivals, arrivals_of_running_loop


class CountingLoop:
    """A loop that counts wake-ups, and runs what it was called with when a test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []
        self.num_wakes = 0

    def is_closed(self) -> bool:
        return False

    def call_soon_threadsafe(self, call: Callable[[], Any]) -> None:
        self.num_wakes += 1
        self.calls.append(call)

    def run(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


def test_one_wake_up_for_all_that_arrives_before_it():
    loop, received = CountingLoop(), []
    arrivals = Arrivals(loop)
    for number in range(20):
        arrivals.put(received.append, number)
    loop.run()
    assert (received, loop.num_wakes) == (list(range(20)), 1)
    arrivals.put(received.append, 20)
    loop.run()
    assert (received[-1], loop.num_wakes) == (20, 2)


def test_what_arrives_while_others_are_passed_on_is_passed_on_too():
    loop, received = CountingLoop(), []
    arrivals = Arrivals(loop)

    def answer(number: int) -> None:
        received.append(number)
        if number < 3:
            arrivals.put(answer, number + 1)

    arrivals.put(answer, 0)
    while loop.calls:
        loop.run()
    assert received == [0, 1, 2, 3]


def test_threads_lose_nothing():
    received: dict[int, list[int]] = {0: [], 1: []}

    async def go() -> None:
        arrivals, done = arrivals_of_running_loop(), asyncio.Event()
        assert arrivals is arrivals_of_running_loop()

        def receive(value: tuple[int, int]) -> None:
            received[value[0]].append(value[1])
            if all(len(numbers) == 2000 for numbers in received.values()):
                done.set()

        def deliver(name: int) -> None:
            for number in range(2000):
                arrivals.put(receive, (name, number))

        threads = [threading.Thread(target=deliver, args=(name,)) for name in received]
        for thread in threads:
            thread.start()
        await asyncio.wait_for(done.wait(), 60)

    asyncio.run(go())
    assert received == {0: list(range(2000)), 1: list(range(2000))}


def test_every_value_for_a_loop_that_has_ended_is_refused():
    async def own() -> Arrivals:
        arrivals = arrivals_of_running_loop()
        asyncio.get_running_loop().call_soon(arrivals.put, lambda _: None, "not passed on any more")
        await asyncio.sleep(0)
        return arrivals

    arrivals = asyncio.run(own())
    for _ in range(2):
        with pytest.raises(RuntimeError):
            arrivals.put(print, 1)

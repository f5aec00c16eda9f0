"""Steps that wait run to their end in an event loop and in a thread, and end when who waits is cancelled."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from smallsight.lending.waiting import Changes, Steps, finish_in_loop, finish_in_thread

WAIT_S = 20


def added_up(*futures: Future[int]) -> Steps[int]:
    total = 0
    for future in futures:
        yield future
        total += future.result()
    return total


def done(value: int | Exception) -> Future[int]:
    future: Future[int] = Future()
    if isinstance(value, Exception):
        future.set_exception(value)
    else:
        future.set_result(value)
    return future


def test_both_faces_return_what_the_steps_return():
    lock = threading.RLock()
    assert finish_in_thread(added_up(done(1), done(2)), lock) == 3
    assert asyncio.run(finish_in_loop(added_up(done(1), done(2)), lock)) == 3
    assert finish_in_thread(added_up(), lock) == 0


def test_both_faces_raise_what_was_waited_for():
    lock = threading.RLock()
    with pytest.raises(KeyError):
        finish_in_thread(added_up(done(1), done(KeyError())), lock)
    with pytest.raises(KeyError):
        asyncio.run(finish_in_loop(added_up(done(1), done(KeyError())), lock))


def test_the_lock_is_free_while_they_wait_and_held_between():
    lock = threading.RLock()
    held: list[bool] = []

    def is_free() -> bool:
        with ThreadPoolExecutor(1) as other:
            return other.submit(lock.acquire, blocking=False).result(WAIT_S)

    def steps() -> Steps[None]:
        held.append(not is_free())
        yield done(0)
        held.append(not is_free())

    finish_in_thread(steps(), lock)
    assert held == [True, True]


def test_cancelling_is_raised_inside_of_the_steps():
    lock, seen, changes = threading.RLock(), [], Changes()

    def steps() -> Steps[None]:
        try:
            yield changes.next()
        except BaseException as error:
            seen.append(type(error))
            raise

    async def leave() -> None:
        waiting = asyncio.create_task(finish_in_loop(steps(), lock))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        changes.announce()  # whoever left is not woken

    asyncio.run(leave())
    assert seen == [asyncio.CancelledError]


def test_a_change_wakes_everything_that_waits_for_it_once():
    changes = Changes()
    first, second = changes.next(), changes.next()
    second.cancel()
    changes.announce()
    assert first.result(0) is None
    with pytest.raises(CancelledError):
        second.result(0)
    assert not changes.next().done()

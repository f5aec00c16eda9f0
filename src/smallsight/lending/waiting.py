"""Waits for other threads, with one implementation for event loops and plain threads.

Code that may wait is a generator that yields a future for each thing it waits for. ``finish_in_loop``
awaits them, ``finish_in_thread`` blocks. Between two waits the generator holds the lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Future
from functools import partial
from threading import RLock
from typing import Any, TypeVar

_Result = TypeVar("_Result")

Steps = Generator[Future[Any], None, _Result]
_Resume = Callable[[], Future[Any]]


class Changes:
    """Wakes everything that waits for the state of something to change. Used under its owner's lock."""

    def __init__(self) -> None:
        self._waiting: list[Future[None]] = []
        self._listeners: list[Callable[[], None]] = []

    def next(self) -> Future[None]:
        """Return a future that is done at the next change."""
        change: Future[None] = Future()
        self._waiting.append(change)
        return change

    def listen(self, listener: Callable[[], None]) -> None:
        """Call a function at every change; it must return quickly and must not raise."""
        self._listeners.append(listener)

    def tell(self) -> None:
        """Call the listeners for a change that nothing waits for."""
        for listener in self._listeners:
            listener()

    def announce(self) -> None:
        """Wake everything that waits, and call the listeners."""
        self.tell()
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            if change.set_running_or_notify_cancel():
                change.set_result(None)


async def finish_in_loop(steps: Steps[_Result], lock: RLock) -> _Result:
    """Run the steps to their end without blocking the event loop; a cancellation is raised in the steps."""
    resume: _Resume = partial(next, steps)
    while True:
        try:
            with lock:
                future = resume()
        except StopIteration as end:
            result: _Result = end.value
            return result
        try:
            await asyncio.wrap_future(future)
        except BaseException as error:  # noqa: BLE001 - the steps decide
            resume = partial(steps.throw, error)
        else:
            resume = partial(next, steps)


def finish_in_thread(steps: Steps[_Result], lock: RLock) -> _Result:
    """Run the steps to their end in this thread, blocking it; needs no event loop."""
    resume: _Resume = partial(next, steps)
    while True:
        try:
            with lock:
                future = resume()
        except StopIteration as end:
            result: _Result = end.value
            return result
        try:
            future.result()
        except BaseException as error:  # noqa: BLE001 - the steps decide
            resume = partial(steps.throw, error)
        else:
            resume = partial(next, steps)

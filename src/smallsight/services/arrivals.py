"""What threads deliver to an event loop: everything that has arrived is passed on with one wake-up.

An engine delivers a token for each of its requests at the end of a step. With a wake-up for each of them the
loop and the engine's thread would take the interpreter from each other at every token.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

_Call = tuple[Callable[[Any], None], Any]


class Arrivals:
    """Calls functions in one event loop with what threads deliver, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[_Call] = deque()
        self._is_waking = False

    def put(self, receive: Callable[[Any], None], value: object) -> None:
        """Have the loop call ``receive``, from any thread; raises RuntimeError if the loop has ended."""
        self._waiting.append((receive, value))
        # The flag is lowered before the values are taken: one that arrives afterwards wakes the loop again.
        if not self._is_waking or self._loop.is_closed():
            self._is_waking = True
            self._loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        self._is_waking = False
        while self._waiting:
            receive, value = self._waiting.popleft()
            receive(value)


class _OfThread(threading.local):
    arrivals: tuple[asyncio.AbstractEventLoop, Arrivals] | None = None


_of_thread = _OfThread()


def arrivals_of_running_loop() -> Arrivals:
    """Return those of the event loop that runs in this thread."""
    loop = asyncio.get_running_loop()
    known = _of_thread.arrivals
    if known is None or known[0] is not loop:
        known = _of_thread.arrivals = loop, Arrivals(loop)
    return known[1]

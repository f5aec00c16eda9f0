"""Places that clients get in turn: one with many requests does not keep out one with a single request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from smallsight.policy.turns import Turns


@dataclass(frozen=True, eq=False, slots=True)
class _Waiter:
    client: str
    called: asyncio.Future[None]


class WaitingLine:
    """So many may be inside at once. Belongs to one event loop."""

    def __init__(self, num_places: int) -> None:
        self._num_free = num_places
        self._turns = Turns()
        self._waiting: list[_Waiter] = []

    @property
    def num_waiting(self) -> int:
        """How many stand in line."""
        return len(self._waiting)

    @asynccontextmanager
    async def place(self, client: str) -> AsyncIterator[None]:
        """Wait for a place and have it for as long as the block lasts."""
        await self._enter(client)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, client: str) -> None:
        if self._num_free:  # nobody waits while a place is free
            self._num_free -= 1
            self._turns.serve(client)
            return
        waiter = _Waiter(client, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        try:
            await waiter.called
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            else:  # called in the same moment
                self._leave()
            raise

    def _leave(self) -> None:
        # One that was cancelled stands in line until it hears of it.
        waiting = [one for one in self._waiting if not one.called.done()]
        if not waiting:
            self._num_free += 1
            return
        waiter = self._turns.order(waiting, lambda one: one.client)[0]
        self._waiting.remove(waiter)
        self._turns.serve(waiter.client)
        waiter.called.set_result(None)

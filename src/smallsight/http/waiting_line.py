"""A queue for slots that clients get in turn, so that one with many requests does not block the others."""

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
    """Admits ``num_slots`` holders at once; others wait. Belongs to one event loop."""

    def __init__(self, num_slots: int) -> None:
        self._num_free = num_slots
        self._turns = Turns()
        self._waiting: list[_Waiter] = []

    @asynccontextmanager
    async def slot(self, client: str) -> AsyncIterator[None]:
        """Wait for a slot and hold it for as long as the block lasts."""
        await self._enter(client)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, client: str) -> None:
        if self._num_free:  # nobody waits while a slot is free
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
            else:  # it got its slot at the same moment
                self._leave()
            raise

    def _leave(self) -> None:
        # A cancelled waiter stays in the list until its task runs again.
        waiting = [one for one in self._waiting if not one.called.done()]
        if not waiting:
            self._num_free += 1
            return
        waiter = self._turns.order(waiting, lambda one: one.client)[0]
        self._waiting.remove(waiter)
        self._turns.serve(waiter.client)
        waiter.called.set_result(None)

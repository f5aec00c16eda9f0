"""Delivers stored callbacks until they are accepted: in order for each picture, pictures beside each other.

A callback that is refused, or not accepted for too long, is listed as undelivered and the next one is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass

from smallsight.errors import StorageError
from smallsight.generator.app_client import AppClient
from smallsight.generator.callback import STATUS, AnswerMeaning, Callback, pause_s
from smallsight.generator.store_thread import StoreThread
from smallsight.policy.log import get_logger

__all__ = ["MAX_AT_ONCE", "Deliverer", "DeliveryRules"]

log = get_logger(__name__)

MAX_AT_ONCE = 8
_STORAGE_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """How long to wait between tries, for how long to try, and how long a caller waits for the first try."""

    first_pause_s: float
    longest_pause_s: float
    deliver_for_s: float
    first_try_s: float


class Deliverer:
    """Sends callbacks in the event loop; ``run`` until it is cancelled."""

    def __init__(self, store: StoreThread, app: AppClient, rules: DeliveryRules) -> None:
        self._store = store
        self._app = app
        self._rules = rules
        self._wake = asyncio.Event()
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._retry_at_s: dict[int, float] = {}  # of pictures whose first callback has failed
        self._away_until_s = 0.0
        self._num_away = 0
        self._waiting: defaultdict[int, dict[int, asyncio.Event]] = defaultdict(dict)

    def wake(self) -> None:
        """Look for new callbacks."""
        self._wake.set()

    async def wait_for_first_try(self, image_core_id: int, callback_id: int) -> None:
        """Wait until a new callback has been sent once; not if it must wait for others that fail."""
        self._wake.set()
        if self._is_away() or image_core_id in self._retry_at_s:
            return
        tried = self._waiting[image_core_id][callback_id] = asyncio.Event()
        try:
            async with asyncio.timeout(self._rules.first_try_s):
                await tried.wait()
        except TimeoutError:
            pass
        finally:
            del self._waiting[image_core_id][callback_id]
            if not self._waiting[image_core_id]:
                del self._waiting[image_core_id]

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self._start_due()
                except StorageError as error:
                    log.error("callbacks_not_read", why=str(error))
                    self._leave_alone(_STORAGE_PAUSE_S)
                try:
                    async with asyncio.timeout(self._seconds_to_wait()):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    def _is_away(self) -> bool:
        return time.monotonic() < self._away_until_s

    def _seconds_to_wait(self) -> float | None:
        now_s = time.monotonic()
        if self._is_away():
            return self._away_until_s - now_s
        if len(self._busy) >= MAX_AT_ONCE:
            return None
        due_s = [when for image, when in self._retry_at_s.items() if image not in self._busy]
        return max(0.0, min(due_s) - now_s) if due_s else None

    async def _start_due(self) -> None:
        num_free = MAX_AT_ONCE - len(self._busy)
        if self._is_away() or num_free <= 0:
            return
        now_s = time.monotonic()
        limit = num_free + len(self._busy) + len(self._retry_at_s)
        for callback in await self._store.call(self._store.store.first_callbacks, limit):
            image = callback.image_core_id
            if image in self._busy or self._retry_at_s.get(image, 0.0) > now_s:
                continue
            self._busy[image] = asyncio.create_task(self._deliver_picture(callback))
            if len(self._busy) >= MAX_AT_ONCE:
                return

    async def _deliver_picture(self, first: Callback) -> None:
        """Deliver the callbacks of one picture until one fails or none is left."""
        image = first.image_core_id
        callback: Callback | None = first
        try:
            while callback is not None and not self._is_away():
                callback = await self._deliver(callback)
        except StorageError as error:
            log.error("callback_not_noted", image=image, why=str(error))
            self._leave_alone(_STORAGE_PAUSE_S)
        finally:
            del self._busy[image]
            self._wake.set()

    async def _deliver(self, callback: Callback) -> Callback | None:
        """Send one callback; return the next one of its picture, None if there is none or it must wait."""
        image, store = callback.image_core_id, self._store.store
        sender = "status_sender" if callback.receiver == STATUS else "description_sender"
        verdict, why = await self._app.send(callback)
        if verdict is not AnswerMeaning.APP_AWAY:
            self._num_away = 0
        if verdict is AnswerMeaning.ACCEPTED:
            log.info(f"SUCCESS: {sender} successfully delivered", image=image)
            self._retry_at_s.pop(image, None)
            self._tell(image, callback.id)
            return await self._store.call(store.accept, callback)
        log.warning(f"FAILURE: {sender} failed to deliver with {why}", image=image)
        is_over = time.time() - callback.created_s > self._rules.deliver_for_s
        if verdict is AnswerMeaning.REFUSED or is_over:
            log.error("callback_undelivered", image=image, receiver=callback.receiver, why=why)
            self._retry_at_s.pop(image, None)
            self._tell(image, callback.id)
            return await self._store.call(store.abandon, callback, why)
        self._plan_retry(callback, verdict)
        await self._store.call(store.count_failure, callback, why)
        return None

    def _plan_retry(self, callback: Callback, verdict: AnswerMeaning) -> None:
        rules, image = self._rules, callback.image_core_id
        if verdict is AnswerMeaning.LATER:
            pause = pause_s(callback.num_tries + 1, rules.first_pause_s, rules.longest_pause_s)
            self._retry_at_s[image] = time.monotonic() + pause
            self._tell(image, None)
        elif not self._is_away():
            self._num_away += 1
            self._leave_alone(pause_s(self._num_away, rules.first_pause_s, rules.longest_pause_s))

    def _leave_alone(self, seconds: float) -> None:
        """Send nothing for a while, and let nobody wait for it."""
        self._away_until_s = time.monotonic() + seconds
        for image in list(self._waiting):
            self._tell(image, None)

    def _tell(self, image: int, callback_id: int | None) -> None:
        """Tell who waits for this callback that it was sent; with None, all who wait for the picture."""
        for waiting_id, tried in self._waiting.get(image, {}).items():
            if callback_id is None or waiting_id == callback_id:
                tried.set()

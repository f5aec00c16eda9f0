"""Loads the active model when the server starts, so that the first question need not wait for it."""

from __future__ import annotations

import asyncio

from smallsight.errors import SmallsightError
from smallsight.policy.log import get_logger
from smallsight.services.serving import Serving

log = get_logger(__name__)


class Preload:
    """One attempt in the background, and its outcome. A request that loads the model clears a failure."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._task: asyncio.Task[None] | None = None
        self._name: str | None = None
        self.problem: str | None = None

    def start(self) -> None:
        """Start the attempt, if a model is active."""
        if self._serving.live.current().active_model is not None:
            self._task = asyncio.create_task(self._load())

    async def stop(self) -> None:
        """Cancel the attempt and wait for its end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_loading(self) -> bool:
        """Whether the attempt is still in progress."""
        return self._task is not None and not self._task.done()

    @property
    def has_failed(self) -> bool:
        """Whether it failed, and no request has loaded the model since."""
        return self.problem is not None and all(one.name != self._name for one in self._serving.pool.loaded())

    async def _load(self) -> None:
        try:
            served = await asyncio.to_thread(self._serving.models.find, None)
            if served.remote is not None:
                return  # another server runs it
            self._name = served.name
            async with self._serving.pool.lend(served):
                pass
        except SmallsightError as error:
            self.problem = str(error)
            log.error("active_model_not_loaded", why=self.problem)

"""Runs the calls of a ``JobStore`` one after another in a thread, so that no commit blocks the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from smallsight.generator.job_store import JobStore

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


class StoreThread:
    """A store and its thread. A call that has begun is completed, even if its caller is cancelled."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self._thread = ThreadPoolExecutor(1, "smallsight-jobs")

    async def call(
        self, method: Callable[_Args, _Result], *args: _Args.args, **kwargs: _Args.kwargs
    ) -> _Result:
        """Return what the method returns; raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: method(*args, **kwargs))

    def close(self) -> None:
        """Finish the calls that have begun, then close the store."""
        self._thread.shutdown(wait=True)
        self.store.close()

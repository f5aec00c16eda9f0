"""Runs the searches that are sent for each key, apart from all other work of the pages.

They come several times a second from everyone who types, and most are not looked at. While several people
type at once, each gets what has the words, and what has a similar meaning after a pause.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

_Result = TypeVar("_Result")

_NUM_THREADS = 2
_BUSY_FOR_S = 2.0  # after two searches were wanted at once


class TypedSearches:
    """The threads for them, and whether they are busy. Use it in one event loop; close it at the end."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_NUM_THREADS, "smallsight-typed")
        self._num_wanted = 0
        self._busy_until_s = 0.0

    async def run(self, search: Callable[[bool], _Result]) -> _Result:
        """Return the result of a search, which is told whether it should be quick.

        A search that is cancelled, because the next key was pressed, is not started any more.
        """
        now_s = time.monotonic()
        if self._num_wanted > 0:
            self._busy_until_s = now_s + _BUSY_FOR_S
        is_quick = now_s < self._busy_until_s
        context = copy_context()
        self._num_wanted += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, lambda: context.run(search, is_quick))
        finally:
            self._num_wanted -= 1

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

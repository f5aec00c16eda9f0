"""Keeps one value for a moment, for what is asked for many times a second and may be a little old."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BrieflyKept(Generic[Value]):
    """The last value that was made, for ``kept_s`` seconds; thread-safe."""

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._turn = threading.Lock()
        self._kept: tuple[float, object, Value] | None = None

    def get(self, key: object, make: Callable[[], Value]) -> Value:
        """Return the value if it is new enough and was made for this key, else what ``make`` returns."""
        with self._turn:
            kept = self._kept
            if kept is not None and kept[1] is key and time.monotonic() - kept[0] < self._kept_s:
                return kept[2]
            value = make()
            self._kept = time.monotonic(), key, value
            return value

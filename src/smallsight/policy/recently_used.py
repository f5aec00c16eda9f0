"""A cache of limited size in bytes that evicts the least recently used values."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class RecentlyUsed(Generic[Key, Value]):
    """Values by key; the least recently used are evicted beyond ``max_bytes``. Thread-safe.

    ``size_of`` returns a value's bytes, which must not change while it is cached. 0 bytes cache nothing.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[Value], int]) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self._size_of = size_of
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def find(self, key: Key) -> Value | None:
        """Return a value and mark it as recently used, or return None."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def remember(self, key: Key, value: Value) -> None:
        """Store a value unless its key exists or it is larger than ``max_bytes``."""
        num_bytes = self._size_of(value)
        with self._lock:
            if key in self._values or num_bytes > self.max_bytes:
                return
            self._values[key] = value
            self.num_bytes += num_bytes
            while self.num_bytes > self.max_bytes:
                _, oldest = self._values.popitem(last=False)
                self.num_bytes -= self._size_of(oldest)

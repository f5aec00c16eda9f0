"""What many pages show of a whole library, such as all tags: read once, and again after it has changed."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from smallsight.library.database import Database

Value = TypeVar("Value")

_MAX_KEPT = 64
_MAX_SHARE = 0.1  # of the time may be spent on reading a list while the library changes all the time


@dataclass(slots=True)
class _RememberedValue:
    """A value, the version of the library that it is of, and when it may be read again."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    version: int | None = None
    value: Any = None
    not_before_s: float = 0.0

    def is_usable(self, version: int, *, may_lag: bool) -> bool:
        is_early = may_lag and self.version is not None and time.monotonic() < self.not_before_s
        return self.version == version or is_early


class RememberedLists:
    """The lists of one open library; thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()
        self._kept: OrderedDict[Hashable, _RememberedValue] = OrderedDict()

    def get(self, key: Hashable, read: Callable[[], Value], *, may_lag: bool = True) -> Value:
        """Return what ``read`` returns, or returned before; the caller must not change it.

        With ``may_lag`` a value is read again after ten times as long as reading it took at the earliest, so
        that pages stay fast while pictures are indexed. Otherwise it is always as new as the library.
        """
        version = self._database.version()
        with self._turn:
            kept = self._kept.setdefault(key, _RememberedValue())
            self._kept.move_to_end(key)
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        if kept.is_usable(version, may_lag=may_lag):
            value: Value = kept.value
            return value
        with kept.turn:
            if not kept.is_usable(version, may_lag=may_lag):
                started_s = time.monotonic()
                kept.value = read()
                now_s = time.monotonic()
                kept.not_before_s = now_s + (now_s - started_s) / _MAX_SHARE
                kept.version = version
            read_now: Value = kept.value
            return read_now

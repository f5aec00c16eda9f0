"""A clock that a test sets by hand, and waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

GENEROUS_S = 60.0
_PAUSE_S = 0.01


@dataclass
class HandClock:
    """Seconds that pass only when a test says so."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def wait_until(is_so: Callable[[], object], what: Callable[[], object] | str = "it never came true") -> None:
    """Return once ``is_so`` holds; after a minute, which nothing that works needs, fail with ``what``."""
    deadline_s = time.monotonic() + GENEROUS_S
    while not is_so():
        assert time.monotonic() < deadline_s, what if isinstance(what, str) else what()
        time.sleep(_PAUSE_S)

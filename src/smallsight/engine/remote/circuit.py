"""A circuit breaker: decides whether a server that failed is asked again. Pure policy with an injected clock.

While closed, all requests pass. After several failures in a row it opens for a while and nothing passes.
Then it is half open: one request passes, and its result closes or reopens it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum


class CircuitState(StrEnum):
    """Which requests the breaker lets pass: all, none or one."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Circuit:
    """One server's breaker. Thread-safe; ``clock`` returns monotonic seconds."""

    def __init__(
        self, *, max_failures: int, rest_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._max_failures = max_failures
        self._rest_s = rest_s
        self._turn = threading.Lock()
        self._failures_in_row = 0
        self._open_until_s: float | None = None
        self._is_probing = False

    @property
    def state(self) -> CircuitState:
        """The state now."""
        with self._turn:
            return self._state()

    def enter(self) -> bool:
        """Return whether a request may pass; if so, call ``succeed``, ``fail`` or ``leave`` afterwards."""
        with self._turn:
            state = self._state()
            if state is CircuitState.HALF_OPEN:
                if self._is_probing:
                    return False
                self._is_probing = True
            return state is not CircuitState.OPEN

    def succeed(self) -> None:
        """Record an answer: the breaker closes."""
        with self._turn:
            self._failures_in_row, self._open_until_s, self._is_probing = 0, None, False

    def fail(self) -> None:
        """Record a failure: the breaker opens after ``max_failures`` in a row, or at once while half open."""
        with self._turn:
            self._failures_in_row += 1
            if self._is_probing or self._failures_in_row >= self._max_failures:
                self._open_until_s = self._clock() + self._rest_s
            self._is_probing = False

    def leave(self) -> None:
        """Record an attempt without a result, such as a cancelled one: the next may pass."""
        with self._turn:
            self._is_probing = False

    def _state(self) -> CircuitState:
        if self._open_until_s is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if self._clock() < self._open_until_s else CircuitState.HALF_OPEN

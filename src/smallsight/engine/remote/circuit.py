"""Whether a server that failed is asked again: a circuit breaker. Plain policy: it is told the time.

Closed, everything passes. After some failures in a row it is open for a while, and nothing passes. Then it is
half open: one question passes, and how that goes decides.
"""

from __future__ import annotations

import threading
from enum import StrEnum


class CircuitState(StrEnum):
    """What the breaker lets through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Circuit:
    """One server's breaker. Thread-safe; times are seconds of a monotonic clock."""

    def __init__(self, *, max_failures: int, rest_s: float) -> None:
        self._max_failures = max_failures
        self._rest_s = rest_s
        self._turn = threading.Lock()
        self._failures_in_row = 0
        self._open_until_s: float | None = None
        self._is_tried = False

    def state(self, now_s: float) -> CircuitState:
        """Return what it would let through now."""
        with self._turn:
            return self._state(now_s)

    def enter(self, now_s: float) -> bool:
        """Return whether to ask now; then ``succeed``, ``fail`` or ``leave`` has to follow."""
        with self._turn:
            state = self._state(now_s)
            if state is CircuitState.HALF_OPEN:
                if self._is_tried:
                    return False
                self._is_tried = True
            return state is not CircuitState.OPEN

    def succeed(self) -> None:
        """Close: the server answers."""
        with self._turn:
            self._failures_in_row, self._open_until_s, self._is_tried = 0, None, False

    def fail(self, now_s: float) -> None:
        """Count that it did not answer: open after enough of this, or at once while half open."""
        with self._turn:
            self._failures_in_row += 1
            if self._is_tried or self._failures_in_row >= self._max_failures:
                self._open_until_s = now_s + self._rest_s
            self._is_tried = False

    def leave(self) -> None:
        """Forget an attempt that nobody waited for: the next one may try."""
        with self._turn:
            self._is_tried = False

    def _state(self, now_s: float) -> CircuitState:
        if self._open_until_s is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now_s < self._open_until_s else CircuitState.HALF_OPEN

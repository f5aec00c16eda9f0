"""Whether a server that failed is asked again: a circuit breaker. Plain policy: its clock is an argument.

Closed, everything passes. After some failures in a row it is open for a while, and nothing passes. Then it is
half open: one question passes, and how that goes decides.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import StrEnum


class CircuitState(StrEnum):
    """What the breaker lets through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Circuit:
    """One server's breaker. Thread-safe; ``clock`` returns seconds and never goes back."""

    def __init__(
        self, *, max_failures: int, rest_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._max_failures = max_failures
        self._rest_s = rest_s
        self._turn = threading.Lock()
        self._failures_in_row = 0
        self._open_until_s: float | None = None
        self._is_tried = False

    @property
    def state(self) -> CircuitState:
        """What it would let through now."""
        with self._turn:
            return self._state()

    def enter(self) -> bool:
        """Return whether to ask now; then ``succeed``, ``fail`` or ``leave`` has to follow."""
        with self._turn:
            state = self._state()
            if state is CircuitState.HALF_OPEN:
                if self._is_tried:
                    return False
                self._is_tried = True
            return state is not CircuitState.OPEN

    def succeed(self) -> None:
        """Close: the server answers."""
        with self._turn:
            self._failures_in_row, self._open_until_s, self._is_tried = 0, None, False

    def fail(self) -> None:
        """Count that it did not answer: open after enough of this, or at once while half open."""
        with self._turn:
            self._failures_in_row += 1
            if self._is_tried or self._failures_in_row >= self._max_failures:
                self._open_until_s = self._clock() + self._rest_s
            self._is_tried = False

    def leave(self) -> None:
        """Forget an attempt that nobody waited for: the next one may try."""
        with self._turn:
            self._is_tried = False

    def _state(self) -> CircuitState:
        if self._open_until_s is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if self._clock() < self._open_until_s else CircuitState.HALF_OPEN

"""Reports names that have been idle for a while, from one thread for all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class IdleTimer:
    """Calls ``on_idle`` with a name a while after the name was set, unless it is cleared before.

    The while is ``delay_s`` unless ``set`` is told another one.

    Thread-safe. ``on_idle`` is called in the timer's own thread, which starts with the first name.
    """

    def __init__(self, delay_s: float, on_idle: Callable[[str], None]) -> None:
        self._delay_s = delay_s
        self._on_idle = on_idle
        self._due_s: dict[str, float] = {}
        self._wakes_s: float | None = None  # None: only when notified
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def set(self, name: str, delay_s: float | None = None) -> None:
        """Start or restart the timer of a name."""
        with self._changed:
            if self._is_closed:
                return
            due_s = time.monotonic() + (self._delay_s if delay_s is None else delay_s)
            self._due_s[name] = due_s
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="smallsight-idle", daemon=True)
                self._thread.start()
            elif self._wakes_s is None or due_s < self._wakes_s:
                self._changed.notify()

    def clear(self, name: str) -> None:
        """Stop the timer of a name."""
        with self._changed:
            self._due_s.pop(name, None)

    def is_set(self, name: str) -> bool:
        """Return whether the timer of a name is running."""
        return name in self._due_s

    def remaining_s(self, name: str) -> float | None:
        """Return the seconds until a name is reported, or None while its timer is not running."""
        due_s = self._due_s.get(name)
        return None if due_s is None else max(0.0, due_s - time.monotonic())

    def close(self) -> None:
        """Stop reporting, and wait for the thread; must not be called by ``on_idle``."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (name := self._next_due()) is not None:
            self._on_idle(name)

    def _next_due(self) -> str | None:
        """Wait for the next name; return None at the end."""
        with self._changed:
            while not self._is_closed:
                name = min(self._due_s, key=self._due_s.__getitem__, default=None)
                self._wakes_s = None if name is None else self._due_s[name]
                wait_s = None if self._wakes_s is None else self._wakes_s - time.monotonic()
                if name is not None and wait_s is not None and wait_s <= 0:
                    del self._due_s[name]
                    return name
                self._changed.wait(wait_s)
        return None

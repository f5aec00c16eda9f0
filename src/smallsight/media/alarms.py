"""Calls functions after a time, unless they are cancelled before: one thread for all, unlike threading.Timer.

Starting a thread for each picture takes a tenth of the time in which one is decoded.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable

__all__ = ["Alarm", "Alarms", "alarms"]


class Alarm:
    """One call that is due at a time of ``time.monotonic``."""

    def __init__(self, due_s: float, call: Callable[[], object]) -> None:
        self.due_s = due_s
        self.call = call


class Alarms:
    """Alarms that are set. Thread-safe.

    The thread sleeps until the first of them, or until where the first was that it knew: an alarm that is set
    later and is due later wakes nobody, and neither does cancelling.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start with no alarm and no thread, as a forked process must: threads do not live on in it."""
        self._changed = threading.Condition()
        self._set: set[Alarm] = set()
        self._wakes_at_s = math.inf
        self._thread: threading.Thread | None = None

    def set(self, timeout_s: float, call: Callable[[], object]) -> Alarm:
        """Call a short function, which raises nothing, in the thread after ``timeout_s`` seconds."""
        alarm = Alarm(time.monotonic() + timeout_s, call)
        with self._changed:
            self._set.add(alarm)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._live, name="smallsight-alarms", daemon=True)
                self._thread.start()
            elif alarm.due_s < self._wakes_at_s:
                self._changed.notify()
        return alarm

    def cancel(self, alarm: Alarm) -> None:
        """Forget an alarm; one whose call has begun is not affected."""
        with self._changed:
            self._set.discard(alarm)

    def _live(self) -> None:
        while True:
            with self._changed:
                due = self._wait()
            for alarm in due:
                alarm.call()

    def _wait(self) -> list[Alarm]:
        """Wait until alarms are due, and take them."""
        while True:
            now_s = time.monotonic()
            due = [alarm for alarm in self._set if alarm.due_s <= now_s]
            if due:
                self._set.difference_update(due)
                return due
            self._wakes_at_s = min((alarm.due_s for alarm in self._set), default=math.inf)
            left_s = self._wakes_at_s - now_s
            self._changed.wait(None if math.isinf(left_s) else min(left_s, threading.TIMEOUT_MAX))


alarms = Alarms()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=alarms.forget)

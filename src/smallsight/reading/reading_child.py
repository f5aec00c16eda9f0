"""The parent's side of the child that reads: several threads ask it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from typing import Any

from smallsight.media.alarms import alarms
from smallsight.media.child_process import ChildEndedError, ChildProcess, ChildTimeoutError
from smallsight.reading.reading_loop import NUMBER
from smallsight.settings import MIB

__all__ = ["ReadingChild"]

_MAX_REPLY_BYTES = 16 * MIB


class ReadingChild:
    """A running child. Thread-safe; after any exception from ``ask`` it is dead and must be replaced."""

    def __init__(self, start: Callable[[], ChildProcess]) -> None:
        """Start it in a thread that then receives its replies; raises what ``start`` raises.

        On Linux a child ends with the thread that started it, and threads that read come and go.
        """
        self._changing, self._sending = threading.Lock(), threading.Lock()
        self._numbers = count()
        self._asked: dict[int, Future[memoryview]] = {}
        self._late: set[int] = set()  # requests whose deadline has passed
        self._how_it_ended: str | None = None
        started: Future[ChildProcess] = Future()
        self._receiver = threading.Thread(
            target=self._live, args=(start, started), name="smallsight-reading", daemon=True
        )
        self._receiver.start()
        self._child = started.result()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def is_alive(self) -> bool:
        """Return whether it can be asked."""
        return self._how_it_ended is None and self._child.is_alive()

    def rss_bytes(self) -> int:
        """Return the child's resident memory, 0 if it cannot be read."""
        return self._child.rss_bytes()

    def ask(self, request: dict[str, Any], data: memoryview, timeout_s: float) -> memoryview:
        """Send a request and return its reply.

        Raises ChildTimeoutError after ``timeout_s``, and ChildEndedError when the child is gone, whichever
        request was the reason.
        """
        answer: Future[memoryview] = Future()
        with self._changing:
            if self._how_it_ended is not None:
                raise ChildEndedError(self._how_it_ended)
            number = next(self._numbers)
            self._asked[number] = answer
        alarm = alarms.set(timeout_s, lambda: self._expire(number))
        try:
            with self._sending, suppress(OSError, ValueError):  # it has ended, which the receiver tells
                self._child.send({**request, NUMBER: number}, data)
            return answer.result()
        except ChildEndedError:
            raise
        except BaseException:  # interrupted: nobody waits for the answer
            self._child.kill()
            raise
        finally:
            alarms.cancel(alarm)

    def close(self) -> None:
        """End the child: at once while it is asked something, else by closing its input."""
        if self._asked:
            self._child.kill()
        self._child.close()
        self._receiver.join()

    def _expire(self, number: int) -> None:
        with self._changing:
            if number in self._asked:
                self._late.add(number)
                self._child.end_now()

    def _live(self, start: Callable[[], ChildProcess], started: Future[ChildProcess]) -> None:
        try:
            child = start()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for it
            started.set_exception(error)
            return
        started.set_result(child)
        try:
            while True:
                reply, lines = child.receive(_MAX_REPLY_BYTES)
                with self._changing:
                    answer = self._asked.pop(reply[NUMBER])
                answer.set_result(lines)
        except (EOFError, OSError):  # it is exiting: wait for its exit code
            child.close()
        except (ValueError, KeyError):  # a reply without sense, or none more is wanted
            child.kill()
        self._tell_how_it_ended(child)

    def _tell_how_it_ended(self, child: ChildProcess) -> None:
        with self._changing:
            how = self._how_it_ended = child.how_it_ended()
            asked, self._asked = self._asked, {}
        for number, answer in asked.items():
            if number in self._late:
                answer.set_exception(ChildTimeoutError("its deadline passed"))
            else:
                answer.set_exception(ChildEndedError(how))

"""Shares the calls of the OCR networks among pictures that are read at the same time.

A picture always has one call of the recogniser, and more only while no other picture waits for one. The
detector computes with all threads for a picture that is alone, and with a part of them beside others. What a
call answers never depends on which one it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from smallsight.reading.network_calls import FindText, Pixels

__all__ = ["PicturesDetector", "SharedCalls"]

Call = TypeVar("Call")


class SharedCalls(Generic[Call]):
    """Calls that one thread at a time may use. Thread-safe."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._free = list(calls)
        self._num_waiting = 0
        self._changed = threading.Condition()

    @property
    def is_wanted(self) -> bool:
        """Whether a thread waits for its first call; who has a second one gives it back soon."""
        return self._num_waiting > 0

    @contextmanager
    def one(self) -> Iterator[Call]:
        """Lend a call, as soon as there is one."""
        with self._changed:
            self._num_waiting += 1
            try:
                self._changed.wait_for(lambda: self._free)
            finally:
                self._num_waiting -= 1
            call = self._free.pop()
        try:
            yield call
        finally:
            self.give_back(call)

    def spare(self) -> Call | None:
        """Lend a call that nobody waits for, or None; its borrower calls ``give_back``."""
        with self._changed:
            return self._free.pop() if self._free and not self._num_waiting else None

    def give_back(self, call: Call) -> None:
        """Take a call back."""
        with self._changed:
            self._free.append(call)
            self._changed.notify()


class PicturesDetector:
    """Finds text in pictures, each of which is announced with ``picture`` as long as it is read."""

    def __init__(self, whole: FindText, beside: Callable[[], FindText] | None) -> None:
        """``whole`` uses all threads, what ``beside`` makes for one picture a part of them.

        Without ``beside`` pictures take turns with all threads.
        """
        self._whole = whole
        self._beside = beside
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._num_pictures = 0

    @contextmanager
    def picture(self) -> Iterator[None]:
        """Count a picture while it is read."""
        with self._counting:
            self._num_pictures += 1
        try:
            yield
        finally:
            with self._counting:
                self._num_pictures -= 1

    def for_one_picture(self) -> FindText:
        """Return a call for one picture at a time."""
        if self._beside is None:
            return self._in_turn
        make, made = self._beside, list[FindText]()

        def find(pixels_HWC: Pixels) -> Pixels:
            if self._num_pictures == 1:
                return self._in_turn(pixels_HWC)
            if not made:
                made.append(make())
            return made[0](pixels_HWC)

        return find

    def _in_turn(self, pixels_HWC: Pixels) -> Pixels:
        with self._turn:
            return self._whole(pixels_HWC)

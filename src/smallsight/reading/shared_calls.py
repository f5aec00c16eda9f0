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
from smallsight.reading.reading_turns import PICTURES_AT_ONCE

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
    """Finds text in pictures, each of which is announced with ``picture`` as long as it is read. Thread-safe.

    A call of the extension keeps the maps of the largest picture, so that none is kept for a number of
    threads that is not in use.
    """

    def __init__(self, find: FindText, with_threads: Callable[[int], FindText] | None, threads: int) -> None:
        """``with_threads`` makes a call for a number of threads; without it all take turns with ``find``.

        A picture that is alone gets all ``threads``, each of several a part of them.
        """
        self._find = find
        self._with_threads = with_threads
        self._threads = threads
        self._whole: FindText | None = None
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
        if self._with_threads is None:
            return self._in_turn
        make, beside = self._with_threads, list[FindText]()

        def find(pixels_HWC: Pixels) -> Pixels:
            if self._num_pictures == 1:
                beside.clear()
                return self._alone(pixels_HWC, make)
            self._forget_whole()
            if not beside:
                beside.append(make(max(1, self._threads // PICTURES_AT_ONCE)))
            return beside[0](pixels_HWC)

        return find

    def _in_turn(self, pixels_HWC: Pixels) -> Pixels:
        with self._turn:
            return self._find(pixels_HWC)

    def _alone(self, pixels_HWC: Pixels, make: Callable[[int], FindText]) -> Pixels:
        with self._turn:
            if self._whole is None:
                self._whole = make(self._threads)
            return self._whole(pixels_HWC)

    def _forget_whole(self) -> None:
        if self._turn.acquire(blocking=False):  # else a picture that was alone when it began still uses it
            self._whole = None
            self._turn.release()

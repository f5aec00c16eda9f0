"""Decides which pictures are read at the same time: a few, unless they are large; one of any size alone."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["PICTURES_AT_ONCE", "ReadingTurn", "ReadingTurns"]

PICTURES_AT_ONCE = 2  # are read, at most: each has pixels and maps, some 30 MB


class ReadingTurn:
    """The turn of one picture; ``was_shared`` says whether another one had its turn meanwhile."""

    def __init__(self, num_pixels: int, *, is_alone: bool) -> None:
        self.num_pixels = num_pixels
        self.is_alone = is_alone
        self.was_shared = False


class ReadingTurns:
    """Gives turns in the order in which they are asked for. Thread-safe."""

    def __init__(self, num_at_once: int, max_pixels: int) -> None:
        """Pictures have at most ``max_pixels`` together; a larger one is alone."""
        self._num_at_once = num_at_once
        self._max_pixels = max_pixels
        self._waiting: deque[ReadingTurn] = deque()
        self._current: list[ReadingTurn] = []
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, num_pixels: int, *, is_alone: bool) -> Iterator[ReadingTurn]:
        """Wait for a turn, and have it in the block; with ``is_alone`` no other picture has one then."""
        turn = ReadingTurn(num_pixels, is_alone=is_alone)
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(lambda: self._may_begin(turn))
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
            self._current.append(turn)
            if len(self._current) > 1:
                for one in self._current:
                    one.was_shared = True
        try:
            yield turn
        finally:
            with self._changed:
                self._current.remove(turn)
                self._changed.notify_all()

    def _may_begin(self, turn: ReadingTurn) -> bool:
        if self._waiting[0] is not turn:
            return False
        if not self._current:
            return True
        together = [*self._current, turn]
        return (
            len(together) <= self._num_at_once
            and not any(one.is_alone for one in together)
            and sum(one.num_pixels for one in together) <= self._max_pixels
        )

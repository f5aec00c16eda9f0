"""One request's way through the engine, seen from outside: its text as it comes, and how it ended."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from smallsight.engine.sampler import TokenChoice
from smallsight.errors import SmallsightError

FinishReason = Literal["stop", "length", "cancelled", "error"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished request produced.

    Seconds are wall-clock, ``first_token_s`` and ``total_s`` from the request's start.
    """

    text: str
    choices: tuple[TokenChoice, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    image_tokens: int
    cached_tokens: int
    vision_s: float
    prefill_s: float
    first_token_s: float
    decode_s: float
    total_s: float
    data: Mapping[str, Any] | None = None


class Generation:
    """A request in the engine; any thread may read it, and one of them its pieces."""

    def __init__(self) -> None:
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._done = threading.Event()
        self._outcome: Outcome | None = None
        self._error: SmallsightError | None = None
        self.is_cancelled = False

    def cancel(self) -> None:
        """Give the request up; it ends before the next step of the engine."""
        self.is_cancelled = True

    @property
    def is_done(self) -> bool:
        """Whether it has ended, in one way or another."""
        return self._done.is_set()

    def pieces(self) -> Iterator[str]:
        """Yield text as it comes; raises what the request failed with. Closing the iterator cancels it."""
        try:
            while (piece := self._pieces.get()) is not None:
                yield piece
        finally:
            self.cancel()
        if self._error is not None:
            raise self._error

    def result(self) -> Outcome:
        """Wait for the end; raises what the request failed with."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        if self._outcome is None:
            raise SmallsightError("A request ended without an outcome.")
        return self._outcome

    def add(self, piece: str) -> None:
        """Hand on new text; only the engine calls this."""
        if piece:
            self._pieces.put(piece)

    def finish(self, outcome: Outcome) -> None:
        """End with an outcome; only the engine calls this."""
        self._outcome = outcome
        self._done.set()
        self._pieces.put(None)

    def fail(self, error: SmallsightError) -> None:
        """End with an error; only the engine calls this."""
        self._error = error
        self._done.set()
        self._pieces.put(None)

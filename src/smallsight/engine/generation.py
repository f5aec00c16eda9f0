"""One request's way through the engine, seen from outside: its text as it comes, and how it ended."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from smallsight.engine.decoding.sampler import TokenChoice
from smallsight.errors import SmallsightError

FinishReason = Literal["stop", "length", "cancelled", "error"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished request produced.

    Seconds are wall-clock, ``first_token_s`` and ``total_s`` from the request's start. Another server tells
    how many tokens it chose (``num_tokens``), not which. ``answered_by`` names the model, if another one did.
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
    num_tokens: int | None = None
    answered_by: str | None = None


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """The natural logarithm of one chosen token's probability, and (token id, logprob) of the likeliest."""

    token_id: int
    logprob: float
    alternatives: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """New text, and the token it ends with where logprobs were requested.

    The text is empty while a token is only half a character, or may be the beginning of a stop string.
    """

    text: str
    logprob: TokenLogprob | None = None


OnPiece = Callable[[Piece | None], None]  # None after the last piece


def logprob_of(choice: TokenChoice) -> TokenLogprob:
    """Return a chosen token as callers see it; one whose logprob was not requested counts as certain."""
    return TokenLogprob(choice.token_id, choice.logprob or 0.0, choice.alternatives)


class Generation:
    """A request in the engine; any thread may read it, and one of them its pieces."""

    def __init__(self) -> None:
        self._unread: deque[Piece | None] = deque()
        self._on_piece: OnPiece | None = None
        self._turn = threading.Condition()
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
            while (piece := self._next()) is not None:
                if piece.text:
                    yield piece.text
        finally:
            self.cancel()
        if self._error is not None:
            raise self._error

    def listen(self, on_piece: OnPiece) -> None:
        """Hand every piece to a function instead, those that are there already first, and None at the end.

        The engine's thread calls it and waits for it: it must be quick and must not raise.
        """
        with self._turn:
            self._on_piece = on_piece
            while self._unread:
                on_piece(self._unread.popleft())

    def result(self) -> Outcome:
        """Wait for the end; raises what the request failed with."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        if self._outcome is None:
            raise SmallsightError("A request ended without an outcome.")
        return self._outcome

    def add(self, text: str, choice: TokenChoice | None = None) -> None:
        """Hand on new text, with its last token if logprobs were requested; only the engine calls this."""
        if text or choice is not None:
            self._hand_on(Piece(text, None if choice is None else logprob_of(choice)))

    def finish(self, outcome: Outcome) -> None:
        """End with an outcome; only the engine calls this."""
        self._outcome = outcome
        self._done.set()
        self._hand_on(None)

    def fail(self, error: SmallsightError) -> None:
        """End with an error; only the engine calls this."""
        self._error = error
        self._done.set()
        self._hand_on(None)

    def _hand_on(self, piece: Piece | None) -> None:
        with self._turn:
            if self._on_piece is not None:
                self._on_piece(piece)
                return
            self._unread.append(piece)
            self._turn.notify()

    def _next(self) -> Piece | None:
        with self._turn:
            self._turn.wait_for(lambda: self._unread)
            return self._unread.popleft()

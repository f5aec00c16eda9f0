"""A request in the engine as its caller sees it: text as it arrives, and the outcome."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from smallsight.engine.decoding.sampler import TokenChoice
from smallsight.engine.scores import Scores
from smallsight.errors import OutOfResourcesError, SmallsightError
from smallsight.errors.refusals import refused_by_system
from smallsight.families.messages import ToolCall

FinishReason = Literal["stop", "length", "cancelled", "error"]


def failure_of(error: Exception) -> SmallsightError:
    """Return what callers are told about an error: one of ours as it is, and a sentence about any other."""
    if isinstance(error, SmallsightError):
        return error
    if isinstance(error, MemoryError):
        return OutOfResourcesError(
            f"Memory ran out while computing an answer: {str(error) or 'an object could not be allocated'}.",
            hint="ask about fewer pictures at once, close other programs, or load a smaller model.",
        )
    if (refusal := refused_by_system(error)) is not None:
        return refusal
    return SmallsightError(f"The engine failed: {str(error) or type(error).__name__}", hint="ask again.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a finished request.

    Seconds are wall-clock, ``first_token_s`` and ``total_s`` from the request's start. Another server reports
    only the number of its tokens (``num_tokens``). ``answered_by`` names the fallback model, if it answered.
    ``scores`` are set when a given answer was scored to its end, ``stop_string`` when one ended the text,
    ``tool_calls`` are those that another server returned.
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
    scores: Scores | None = None
    stop_string: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A chosen token's natural log-probability, and (token id, logprob) of the likeliest alternatives."""

    token_id: int
    logprob: float
    alternatives: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """New text, and its last token where logprobs were requested.

    The text is empty while a token is an incomplete character or may begin a stop string.
    """

    text: str
    logprob: TokenLogprob | None = None


OnPiece = Callable[[Piece | None], None]  # None after the last piece


def logprob_of(choice: TokenChoice) -> TokenLogprob:
    """Return a token with its log-probability; 0.0 if that was not requested."""
    return TokenLogprob(choice.token_id, choice.logprob or 0.0, choice.alternatives)


class Generation:
    """A request in the engine. Any thread may read it, but only one its pieces.

    ``prompt_tokens`` is the number of tokens in the prompt, None if another server counts them.
    """

    def __init__(self, prompt_tokens: int | None = None) -> None:
        self.prompt_tokens = prompt_tokens
        self._unread: deque[Piece | None] = deque()
        self._on_piece: OnPiece | None = None
        self._turn = threading.Condition()
        self._done = threading.Event()
        self._outcome: Outcome | None = None
        self._error: SmallsightError | None = None
        self.is_cancelled = False

    def cancel(self) -> None:
        """Cancel the request; it ends before the engine's next step."""
        self.is_cancelled = True

    @property
    def is_done(self) -> bool:
        """Whether it has ended, successfully or not."""
        return self._done.is_set()

    def pieces(self) -> Generator[str, None, None]:
        """Yield text as it arrives; raises the request's error. Closing the iterator cancels the request."""
        try:
            while (piece := self._next()) is not None:
                if piece.text:
                    yield piece.text
        finally:
            self.cancel()
        if self._error is not None:
            raise self._error

    def listen(self, on_piece: OnPiece) -> None:
        """Pass every piece to a callback instead, unread ones first, and None at the end.

        The engine's thread calls it: it must return quickly and must not raise.
        """
        with self._turn:
            self._on_piece = on_piece
            while self._unread:
                on_piece(self._unread.popleft())

    def result(self) -> Outcome:
        """Wait for the end and return the outcome; raises the request's error."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        if self._outcome is None:
            raise SmallsightError("A request ended without an outcome.")
        return self._outcome

    def add(self, text: str, choice: TokenChoice | None = None) -> None:
        """Deliver new text, with its last token if logprobs were requested; only the engine calls this."""
        if text or choice is not None:
            self._deliver(Piece(text, None if choice is None else logprob_of(choice)))

    def finish(self, outcome: Outcome) -> None:
        """End with an outcome; only the engine calls this."""
        self._outcome = outcome
        self._done.set()
        self._deliver(None)

    def fail(self, error: SmallsightError) -> None:
        """End with an error; only the engine calls this."""
        self._error = error
        self._done.set()
        self._deliver(None)

    def _deliver(self, piece: Piece | None) -> None:
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

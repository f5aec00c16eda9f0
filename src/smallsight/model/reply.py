"""The reply to ``Model.start``: a request in progress that delivers text and, at the end, an answer."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Protocol

from smallsight.engine.generation import OnPiece, Piece
from smallsight.model.answer import Answer

__all__ = ["FinishedReply", "OnPiece", "Piece", "Reply", "spaced_words", "without_leading_space"]


class Reply(Protocol):
    """What ``Model.start`` returns. Thread-safe."""

    @property
    def prompt_tokens(self) -> int | None:
        """The number of tokens in the prompt, known from the start; None if another server counts them."""
        ...

    def listen(self, on_piece: OnPiece) -> None:
        """Call a function with every piece, from the first on, and with None after the last.

        The engine's thread calls it: it must return quickly and must not raise.
        """
        ...

    def cancel(self) -> None:
        """Cancel the request; it ends before the engine's next step."""
        ...

    def answer(self) -> Answer:
        """Wait for the end and return the answer; raises the request's error."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for, which may be an incomplete character."""
        ...


class FinishedReply:
    """A reply whose answer is already known."""

    def __init__(self, answer: Answer, pieces: Sequence[str]) -> None:
        self._answer, self._pieces = answer, pieces

    @property
    def prompt_tokens(self) -> int | None:
        """Those of the answer."""
        return self._answer.usage.prompt_tokens

    def listen(self, on_piece: OnPiece) -> None:
        """Deliver all pieces now, in the caller's thread."""
        for text in self._pieces:
            on_piece(Piece(text))
        on_piece(None)

    def cancel(self) -> None:
        """Do nothing: the request has ended."""

    def answer(self) -> Answer:
        """Return the answer."""
        return self._answer

    def token_bytes(self, token_id: int) -> bytes:  # noqa: ARG002 - there are no logprobs that need it
        """Return no bytes: the tokens are words without a vocabulary."""
        return b""


def without_leading_space(pieces: Generator[str, None, None]) -> Generator[str, None, None]:
    """Yield pieces without the white space before the first word; closing it closes ``pieces``."""
    with closing(pieces):
        has_text = False
        for piece in pieces:
            text = piece if has_text else piece.lstrip()
            if text:
                has_text = True
                yield text


def spaced_words(text: str) -> list[str]:
    """Split a text into words, each with the preceding space."""
    return re.findall(r"\s*\S+", text)

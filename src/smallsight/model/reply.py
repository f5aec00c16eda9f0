"""A request under way, as callers of ``Model.start`` see it: its text as it comes, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from smallsight.engine.generation import OnPiece, Piece
from smallsight.model.answer import Answer

__all__ = ["FinishedReply", "OnPiece", "Piece", "Reply", "spaced_words"]


class Reply(Protocol):
    """What ``Model.start`` returns. Thread-safe."""

    def listen(self, on_piece: OnPiece) -> None:
        """Have every piece handed to a function, from the first on, and None after the last.

        It is called in the engine's thread, which waits for it: it must be quick and must not raise.
        """
        ...

    def cancel(self) -> None:
        """Give the request up; it ends before the engine's next step."""
        ...

    def answer(self) -> Answer:
        """Wait for the end; raises what the request failed with."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for: half a character, for some."""
        ...


class FinishedReply:
    """A reply that was known at once."""

    def __init__(self, answer: Answer, pieces: Sequence[str]) -> None:
        self._answer, self._pieces = answer, pieces

    def listen(self, on_piece: OnPiece) -> None:
        """Hand out all the pieces now, in the caller's thread."""
        for text in self._pieces:
            on_piece(Piece(text))
        on_piece(None)

    def cancel(self) -> None:
        """Do nothing: it has ended."""

    def answer(self) -> Answer:
        """Return the answer."""
        return self._answer

    def token_bytes(self, token_id: int) -> bytes:  # noqa: ARG002 - it has no logprobs to name tokens for
        """Return nothing: its tokens are words without a vocabulary."""
        return b""


def spaced_words(text: str) -> list[str]:
    """Cut a text into its words, each with the space before it."""
    return re.findall(r"\s*\S+", text)

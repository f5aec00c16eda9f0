"""One question under way: from the engine's threads to the event loop, and back when a client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from smallsight.model.answer import Answer
from smallsight.model.reply import Piece, Reply

QUIET_S = 15.0  # after which a stream says that it is still there


@dataclass(frozen=True, slots=True)
class Heard:
    """A piece of one of the choices, or None when it has ended."""

    index: int
    piece: Piece | None


class Exchange:
    """The replies to one question, one a choice. Made in the event loop, which alone may use it."""

    def __init__(
        self, replies: Sequence[Reply], on_answers: Callable[[Sequence[Answer]], None] | None = None
    ) -> None:
        """``on_answers`` hears the answers when somebody has waited for all of them."""
        self._replies = replies
        self._on_answers = on_answers
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()
        self._first: Heard | None = None
        self._loop = asyncio.get_running_loop()
        for index, reply in enumerate(replies):
            reply.listen(lambda piece, index=index: self._hand_over(Heard(index, piece)))  # type: ignore[misc]

    async def begun(self) -> None:
        """Wait for the first word of any choice; raises what the first one failed with, if without a word."""
        self._first = await self._heard.get()
        if self._first.piece is None:
            self._replies[self._first.index].answer()

    async def pieces(self) -> AsyncIterator[Heard | None]:
        """Yield what is heard until every choice has ended; None after some time in which nothing was."""
        num_running = len(self._replies)
        while num_running:
            first, self._first = self._first, None
            try:
                async with asyncio.timeout(QUIET_S):
                    heard = first or await self._heard.get()
            except TimeoutError:
                yield None
                continue
            num_running -= heard.piece is None
            yield heard

    def answers(self) -> list[Answer]:
        """Return the answers when all have ended; raises what one failed with."""
        answers = [reply.answer() for reply in self._replies]
        if self._on_answers is not None:
            self._on_answers(answers)
        return answers

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        return self._replies[0].token_bytes(token_id)

    def cancel(self) -> None:
        """Give up whatever has not ended."""
        for reply in self._replies:
            reply.cancel()

    def _hand_over(self, heard: Heard) -> None:
        """Pass on what the engine's thread says, which must not fail because nobody listens any more."""
        try:
            self._loop.call_soon_threadsafe(self._heard.put_nowait, heard)
        except RuntimeError:  # the event loop has ended
            self.cancel()

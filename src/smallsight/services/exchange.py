"""One question in progress: passes pieces from the engine's threads to the event loop; can be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from smallsight.model.answer import Answer
from smallsight.model.reply import Piece, Reply

QUIET_S = 15.0  # after which a stream sends a keep-alive

OnAnswers = Callable[[Sequence[Answer]], None]


@dataclass(frozen=True, slots=True)
class ChoicePiece:
    """A piece of one choice; ``piece`` is None when that choice is complete."""

    index: int
    piece: Piece | None


class Exchange:
    """The replies to one question, one for each choice. Created in the event loop, and used only there.

    ``began_s`` is when the question arrived, by ``time.perf_counter``; ``is_remembered`` is true when the
    answer came from the result cache, so that no model computes.
    """

    def __init__(
        self,
        replies: Sequence[Reply],
        model: str,
        began_s: float,
        *,
        is_remembered: bool = False,
        on_answers: OnAnswers | None = None,
    ) -> None:
        """``on_answers`` is called with the answers once all are complete."""
        self.replies = replies
        self.model = model
        self.began_s = began_s
        self.is_remembered = is_remembered
        self._on_answers = on_answers
        self._arrived: asyncio.Queue[ChoicePiece] = asyncio.Queue()
        self._first: ChoicePiece | None = None
        self._loop = asyncio.get_running_loop()
        for index, reply in enumerate(replies):
            reply.listen(partial(self._forward, index))

    @property
    def prompt_tokens(self) -> int | None:
        """The number of tokens in the prompt, known from the start; None if another server counts them."""
        return self.replies[0].prompt_tokens

    async def wait_for_first(self) -> None:
        """Wait for the first piece of any choice; raises the error of a choice that failed without one."""
        self._first = await self._arrived.get()
        if self._first.piece is None:
            self.replies[self._first.index].answer()

    async def pieces(self) -> AsyncIterator[ChoicePiece | None]:
        """Yield pieces until every choice is complete; None after ``QUIET_S`` without one."""
        num_running = len(self.replies)
        while num_running:
            first, self._first = self._first, None
            try:
                async with asyncio.timeout(QUIET_S):
                    arrived = first or await self._arrived.get()
            except TimeoutError:
                yield None
                continue
            num_running -= arrived.piece is None
            yield arrived

    def answers(self) -> list[Answer]:
        """Return the answers when all are complete; raises the error of a failed one."""
        answers = [reply.answer() for reply in self.replies]
        if self._on_answers is not None:
            self._on_answers(answers)
        return answers

    def cancel(self) -> None:
        """Stop every choice that is not complete."""
        for reply in self.replies:
            reply.cancel()

    def _forward(self, index: int, piece: Piece | None) -> None:
        """Pass a piece from the engine's thread to the event loop; must not fail if the loop has ended."""
        try:
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, ChoicePiece(index, piece))
        except RuntimeError:  # the event loop has ended
            self.cancel()

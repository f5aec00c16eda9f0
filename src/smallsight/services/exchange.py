"""One question in progress: passes pieces from the engine's threads to the event loop; can be cancelled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from smallsight.model.answer import Answer
from smallsight.model.reply import Piece, Reply
from smallsight.services.arrivals import arrivals_of_running_loop

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
        self._arrived: deque[ChoicePiece] = deque()
        self._loop = asyncio.get_running_loop()
        self._arrivals = arrivals_of_running_loop()
        self._waiting: asyncio.Future[bool] | None = None
        self._waiting_since_s = 0.0
        self._quiet_timer: asyncio.TimerHandle | None = None
        for index, reply in enumerate(replies):
            reply.listen(partial(self._forward, index))

    @property
    def prompt_tokens(self) -> int | None:
        """The number of tokens in the prompt, known from the start; None if another server counts them."""
        return self.replies[0].prompt_tokens

    async def wait_for_first(self) -> None:
        """Wait for the first piece of any choice; raises the error of a choice that failed without one."""
        while not self._arrived:
            await self._wait()
        first = self._arrived[0]
        if first.piece is None:
            self.replies[first.index].answer()

    async def pieces(self) -> AsyncIterator[ChoicePiece | None]:
        """Yield pieces until every choice is complete; None after ``QUIET_S`` without one."""
        async for batch in self.batches():
            if not batch:
                yield None
            for one in batch:
                yield one

    async def batches(self) -> AsyncIterator[Sequence[ChoicePiece]]:
        """Yield together what has arrived, until every choice is complete; nothing after ``QUIET_S``."""
        num_running = len(self.replies)
        try:
            while num_running:
                if not self._arrived and not await self._wait():
                    yield ()
                    continue
                batch = tuple(self._arrived)
                self._arrived.clear()
                num_running -= sum([one.piece is None for one in batch])
                yield batch
        finally:
            if self._quiet_timer is not None:
                self._quiet_timer.cancel()

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
            self._arrivals.put(self._receive, ChoicePiece(index, piece))
        except RuntimeError:  # the event loop has ended
            self.cancel()

    def _receive(self, arrived: ChoicePiece) -> None:
        self._arrived.append(arrived)
        self._wake(is_piece=True)

    async def _wait(self) -> bool:
        """Wait for a piece, and return whether one has arrived within ``QUIET_S``."""
        self._waiting_since_s = self._loop.time()
        if (
            self._quiet_timer is None
        ):  # one for many pieces: setting and cancelling it costs more than a piece
            self._quiet_timer = self._loop.call_later(QUIET_S, self._end_quiet)
        self._waiting = self._loop.create_future()
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def _end_quiet(self) -> None:
        """End the present wait if it has lasted long enough, or look again when it would have."""
        left_s = self._waiting_since_s + QUIET_S - self._loop.time()
        self._quiet_timer = self._loop.call_later(left_s, self._end_quiet) if left_s > 0 else None
        if left_s <= 0:
            self._wake(is_piece=False)

    def _wake(self, *, is_piece: bool) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(is_piece)

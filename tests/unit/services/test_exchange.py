"""From threads to the event loop: nothing is lost, nothing is out of order."""

from __future__ import annotations

import asyncio
import threading

from smallsight.engine.generation import Generation
from smallsight.model.reply import Piece
from smallsight.services import exchange
from smallsight.services.exchange import ChoicePiece, Exchange


class FakeReply:
    """A generation with a thread that writes into it."""

    def __init__(self, count: int) -> None:
        self.generation = Generation()
        self.count = count
        self.thread = threading.Thread(target=self.write)

    def write(self) -> None:
        for number in range(self.count):
            if self.generation.is_cancelled:
                break
            self.generation.add(f"{number} ")
        self.generation.finish(None)

    def listen(self, listener) -> None:
        self.generation.listen(lambda piece: listener(None if piece is None else Piece(piece.text)))

    def cancel(self) -> None:
        self.generation.cancel()

    def answer(self) -> str:
        return "answer"


def test_pieces_of_several_replies_arrive_in_order():
    async def go() -> list[ChoicePiece]:
        replies = [FakeReply(500), FakeReply(300), FakeReply(0)]
        for reply in replies[:2]:
            reply.thread.start()
        heard_by = Exchange(replies, "tiny", 0.0)
        replies[2].thread.start()
        heard = [one async for one in heard_by.pieces()]
        assert heard_by.answers() == ["answer"] * 3
        return heard

    heard = asyncio.run(asyncio.wait_for(go(), 20))
    for index, count in enumerate((500, 300, 0)):
        pieces = [one.piece for one in heard if one.index == index]
        assert [piece.text for piece in pieces[:-1]] == [f"{n} " for n in range(count)]
        assert pieces[-1] is None


def test_a_quiet_stream_says_so(monkeypatch):
    monkeypatch.setattr(exchange, "QUIET_S", 0.02)

    async def go() -> None:
        reply = FakeReply(1)
        pieces = Exchange([reply], "tiny", 0.0).pieces()
        assert await anext(pieces) is None
        assert await anext(pieces) is None
        reply.thread.start()
        reply.thread.join()
        assert await anext(pieces) == ChoicePiece(0, Piece("0 "))

    asyncio.run(go())


def test_a_thread_that_speaks_after_the_loop_has_ended_is_not_harmed():
    reply = FakeReply(10)

    async def go() -> None:
        Exchange([reply], "tiny", 0.0)

    asyncio.run(go())
    reply.thread.start()
    reply.thread.join()
    assert reply.generation.is_cancelled

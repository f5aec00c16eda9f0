"""Pieces reach whoever reads them, whether they are pulled or handed over."""

from __future__ import annotations

import threading

from smallsight.engine.decoding.sampler import TokenChoice
from smallsight.engine.generation import Generation, Piece, TokenLogprob


def write(generation: Generation, count: int) -> None:
    for number in range(count):
        generation.add(str(number))
    generation.finish(None)


def test_a_listener_hears_what_came_before_it_and_after_in_order():
    for before in (0, 1, 50):
        generation, heard = Generation(), []
        for number in range(before):
            generation.add(str(number))
        generation.listen(heard.append)
        for number in range(before, 100):
            generation.add(str(number))
        generation.finish(None)
        assert heard == [*(Piece(str(number)) for number in range(100)), None]


def test_listening_while_a_thread_writes_loses_nothing():
    for _ in range(50):
        generation, heard = Generation(), []
        writer = threading.Thread(target=write, args=(generation, 200))
        writer.start()
        generation.listen(heard.append)
        writer.join()
        assert [one.text for one in heard[:-1]] == [str(number) for number in range(200)]
        assert heard[-1] is None


def test_reading_waits_for_what_comes():
    generation = Generation()
    writer = threading.Thread(target=write, args=(generation, 500))
    writer.start()
    assert "".join(generation.pieces()) == "".join(map(str, range(500)))
    writer.join()
    assert generation.is_cancelled


def test_a_token_without_text_is_handed_over_and_not_read():
    heard = []
    for generation in (Generation(), Generation()):
        generation.add("", TokenChoice(5))
        generation.add("a", TokenChoice(6))
        generation.add("")
        generation.finish(None)
        if not heard:
            generation.listen(heard.append)
        else:
            assert list(generation.pieces()) == ["a"]
    assert heard == [Piece("", TokenLogprob(5, 0.0)), Piece("a", TokenLogprob(6, 0.0)), None]

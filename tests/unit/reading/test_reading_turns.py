"""Who may be read at the same time as whom, and in which order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from smallsight.reading.reading_turns import ReadingTurn, ReadingTurns

WAIT_S = 30.0


class Picture:
    """A picture in a thread that asks for a turn and keeps it until it is told to end."""

    def __init__(self, turns: ReadingTurns, num_pixels: int, *, is_alone: bool = False) -> None:
        self.has_begun = threading.Event()
        self.turn: ReadingTurn | None = None
        self._may_end = threading.Event()
        self._thread = threading.Thread(target=self._live, args=(turns, num_pixels, is_alone))
        self._thread.start()

    def end(self) -> None:
        self._may_end.set()
        self._thread.join(WAIT_S)

    def _live(self, turns: ReadingTurns, num_pixels: int, is_alone: bool) -> None:
        with turns.turn(num_pixels, is_alone=is_alone) as self.turn:
            self.has_begun.set()
            self._may_end.wait(WAIT_S)


Ask = Callable[..., Picture]


@pytest.fixture
def ask() -> Iterator[Ask]:
    turns = ReadingTurns(2, 1_000)
    asked: list[Picture] = []

    def one(num_pixels: int, *, is_alone: bool = False) -> Picture:
        waiting = len(turns._waiting)  # noqa: SLF001 - the order in which threads ask is what is tested
        asked.append(Picture(turns, num_pixels, is_alone=is_alone))
        while not asked[-1].has_begun.is_set() and len(turns._waiting) == waiting:  # noqa: SLF001
            threading.Event().wait(0.001)
        return asked[-1]

    yield one
    for picture in asked:
        picture.end()


@contextmanager
def all_begun(*pictures: Picture) -> Iterator[None]:
    assert all(one.has_begun.wait(WAIT_S) for one in pictures)
    with ExitStack() as ending:
        for one in pictures:
            ending.callback(one.end)
        yield


def test_as_many_as_are_allowed_have_a_turn_at_once(ask: Ask):
    first, second, third = ask(10), ask(10), ask(10)
    with all_begun(first, second):
        assert not third.has_begun.is_set()
    assert third.has_begun.wait(WAIT_S)


def test_pictures_that_are_too_large_together_take_turns(ask: Ask):
    first, second = ask(600), ask(401)
    with all_begun(first):
        assert not second.has_begun.is_set()
    assert second.has_begun.wait(WAIT_S)


def test_a_picture_of_any_size_has_a_turn_alone(ask: Ask):
    large, small = ask(5_000), ask(1)
    with all_begun(large):
        assert not small.has_begun.is_set()
    assert small.has_begun.wait(WAIT_S)


@pytest.mark.parametrize("is_first", [True, False])
def test_nobody_is_beside_one_that_has_to_be_alone(ask: Ask, is_first: bool):
    first, second = ask(1, is_alone=is_first), ask(1, is_alone=not is_first)
    with all_begun(first):
        assert not second.has_begun.is_set()
    with all_begun(second):
        assert second.turn is not None
        assert not second.turn.was_shared


def test_small_pictures_do_not_overtake_a_large_one(ask: Ask):
    first, large, small = ask(10), ask(5_000), ask(10)
    with all_begun(first):
        assert not large.has_begun.is_set()
        assert not small.has_begun.is_set()
    with all_begun(large):
        assert not small.has_begun.is_set()
    assert small.has_begun.wait(WAIT_S)


def test_both_know_that_they_shared_a_turn(ask: Ask):
    first, second = ask(10), ask(10)
    with all_begun(first, second):
        pass
    third = ask(10)
    assert third.has_begun.wait(WAIT_S)
    assert [one.turn is not None and one.turn.was_shared for one in (first, second, third)] == [
        True,
        True,
        False,
    ]

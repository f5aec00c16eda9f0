from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing

import pytest

from smallsight.library.ledger import Task
from smallsight.library.opened_content import OpenedContent
from smallsight.library.stages.answered import answered


def contents(*numbers: int) -> list[OpenedContent]:
    return [OpenedContent(Task(number, "", {})) for number in numbers]


class Model:
    """Answers with the number it was given; takes some ahead, and remembers how it was called."""

    def __init__(self, ahead: int) -> None:
        self.calls: list[list[int]] = []
        self.num_closed = 0
        self._ahead = ahead

    def ask(self, given: Iterator[int]) -> Generator[int, None, None]:
        call: list[int] = []
        self.calls.append(call)
        waiting: list[int] = []
        try:
            for one in given:
                call.append(one)
                waiting.append(one)
                if len(waiting) > self._ahead:
                    yield waiting.pop(0)
            yield from waiting
        finally:
            self.num_closed += 1


def pairs(model: Model, some: list[OpenedContent], is_asked) -> list[tuple[int, int | None]]:
    def asked(one: OpenedContent) -> bool:
        return is_asked(one.task.content_id)

    results = answered(iter(some), asked, lambda one: one.task.content_id, model.ask)
    return [(one.task.content_id, answer) for one, answer, _ in results]


@pytest.mark.parametrize("ahead", [0, 1, 3, 100])
@pytest.mark.parametrize(
    "is_asked", [lambda _: True, lambda _: False, lambda n: n % 2 == 0, lambda n: n > 20, lambda n: n < 7]
)
def test_every_content_comes_once_with_the_answer_about_it(ahead, is_asked):
    model = Model(ahead)
    found = pairs(model, contents(*range(40)), is_asked)
    assert sorted(found) == [(number, number if is_asked(number) else None) for number in range(40)]
    asked = [number for call in model.calls for number in call]
    assert asked == [number for number in range(40) if is_asked(number)]
    assert model.num_closed == len(model.calls)


def test_contents_that_are_not_asked_about_do_not_pile_up():
    model = Model(100)
    taken = 0

    def counted():
        nonlocal taken
        for one in contents(*range(60)):
            taken += 1
            yield one

    most = 0
    results = answered(counted(), lambda one: one.task.content_id == 0, lambda one: one, model.ask)
    for given, _ in enumerate(results):
        most = max(most, taken - given)
    assert most <= 10


def test_closing_it_closes_what_answers():
    model = Model(2)
    results = answered(iter(contents(*range(9))), lambda _: True, lambda one: one.task.content_id, model.ask)
    with closing(results):
        next(results)
        assert model.num_closed == 0
    assert model.num_closed == 1

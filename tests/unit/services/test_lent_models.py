"""Long work borrows its model, gives way to whoever waits for room, and loses nothing by it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from fake_machine import GIB, Machine, served, until
from smallsight.lending.model_lender import ModelLender
from smallsight.lending.residency import Residency
from smallsight.model.model import Model
from smallsight.services.lent_models import work_on_loan


@pytest.fixture
def machine() -> Machine:
    return Machine({"a": GIB, "b": GIB})


@pytest.fixture
def lender(machine: Machine) -> Iterator[ModelLender]:
    lender = ModelLender(
        Residency(max_models=1, max_bytes=4 * GIB), machine.load, keep_alive_s=-1, measure=machine.measure
    )
    yield lender
    lender.close_in_thread()


def work(model: Model, items: Iterator[int]) -> Generator[str, None, None]:
    for item in items:
        yield f"{model.name}{item}"


def use_b(lender: ModelLender) -> None:
    with lender.borrow(served("b")):
        pass


def test_without_items_nothing_is_borrowed(lender: ModelLender, machine: Machine):
    assert list(work_on_loan(lender, served("a"), [], work)) == []
    assert machine.loads == []


def test_one_loan_is_enough_while_nobody_waits(lender: ModelLender, machine: Machine):
    assert list(work_on_loan(lender, served("a"), range(3), work)) == ["a0", "a1", "a2"]
    assert machine.loads == ["a"]
    assert [one.num_users for one in lender.loaded()] == [0]


def test_who_waits_for_room_gets_it_between_two_items(lender: ModelLender, machine: Machine):
    others: list[Future[None]] = []

    def items() -> Iterator[int]:
        yield 0
        others.append(threads.submit(use_b, lender))
        until(lambda: lender.is_room_wanted)
        yield from (1, 2)

    with ThreadPoolExecutor(1) as threads:
        assert list(work_on_loan(lender, served("a"), items(), work)) == ["a0", "a1", "a2"]
        others[0].result(20)
    assert machine.loads == ["a", "b", "a"]


def test_closing_the_work_gives_the_model_back(lender: ModelLender):
    results = work_on_loan(lender, served("a"), range(3), work)
    assert next(results) == "a0"
    assert [one.num_users for one in lender.loaded()] == [1]
    results.close()
    assert [one.num_users for one in lender.loaded()] == [0]

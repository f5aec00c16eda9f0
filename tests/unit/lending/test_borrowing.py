"""Plain threads borrow models beside event loops, and long work gives way to whoever waits for room."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from fake_machine import GIB, WAIT_S, Machine, served, until
from smallsight.errors import (
    BrokenCheckpointError,
    MemoryBudgetError,
    ModelClosedError,
    OutOfResourcesError,
)
from smallsight.lending.measured_memory import Measured, MeasuredMemory
from smallsight.lending.model_lender import ModelLender
from smallsight.lending.residency import Residency


@pytest.fixture
def machine() -> Machine:
    return Machine({"a": GIB, "b": GIB, "c": GIB})


@contextmanager
def lender_of(machine: Machine, *, max_models: int = 2, **more: object) -> Iterator[ModelLender]:
    lender = ModelLender(
        Residency(max_models=max_models, max_bytes=4 * GIB),
        machine.load,
        keep_alive_s=-1,
        measure=machine.measure,
        **more,
    )
    try:
        yield lender
    finally:
        machine.gate.set()
        lender.close_in_thread()
    assert machine.taken == {}


def use(lender: ModelLender, name: str, during: Callable[[], object] = lambda: None) -> str:
    with lender.borrow(served(name)) as loan:
        during()
        return loan.model.name


def test_a_thread_borrows_without_an_event_loop(machine: Machine):
    with lender_of(machine) as lender:
        assert [use(lender, name) for name in ("a", "b", "a")] == ["a", "b", "a"]
        assert (machine.loads, lender.num_loads) == (["a", "b"], 2)
        assert [(one.name, one.num_users) for one in lender.loaded()] == [("b", 0), ("a", 0)]


def test_threads_that_ask_together_share_one_load(machine: Machine):
    machine.gate.clear()
    with lender_of(machine) as lender, ThreadPoolExecutor(5) as threads:
        together = threading.Barrier(6)
        asked = [threads.submit(use, lender, "a", lambda: together.wait(WAIT_S)) for _ in range(5)]
        machine.gate.set()
        together.wait(WAIT_S)  # all five have it at once
        assert [one.result(WAIT_S) for one in asked] == ["a"] * 5
        assert machine.loads == ["a"]


def test_a_thread_and_an_event_loop_share_a_model(machine: Machine):
    async def ask(lender: ModelLender) -> str:
        async with lender.lend(served("a")) as model:
            return model.name

    with lender_of(machine) as lender:
        assert use(lender, "a", lambda: asyncio.run(ask(lender))) == "a"
        assert machine.loads == ["a"]


def test_what_loading_raises_reaches_the_thread(machine: Machine):
    with lender_of(machine) as lender:
        machine.failure = BrokenCheckpointError("Broken.")
        with pytest.raises(BrokenCheckpointError):
            use(lender, "a")
        machine.failure = OutOfResourcesError("It needs 3 GiB.")
        with pytest.raises(OutOfResourcesError) as caught:
            use(lender, "a")
        assert caught.value is machine.failure
        with pytest.raises(MemoryBudgetError), lender.borrow(served("a", 5 * GIB)):
            pass
        assert lender.loaded() == ()


def test_a_thread_waits_for_a_model_in_use_and_its_holder_is_told(machine: Machine):
    with lender_of(machine, max_models=1) as lender, ThreadPoolExecutor(1) as threads:
        with lender.borrow(served("a")) as loan:
            assert not loan.is_wanted_back
            other = threads.submit(use, lender, "b")
            until(lambda: loan.is_wanted_back)
            assert machine.loads == ["a"]
        assert other.result(WAIT_S) == "b"
        assert not loan.is_wanted_back


def test_who_gives_way_gets_the_model_back_after_the_one_that_waited(machine: Machine):
    order: list[str] = []
    with lender_of(machine, max_models=1) as lender, ThreadPoolExecutor(1) as threads:
        with lender.borrow(served("a")) as loan:
            other = threads.submit(use, lender, "b", lambda: order.append("b"))
            until(lambda: loan.is_wanted_back)
        use(lender, "a", lambda: order.append("a"))
        other.result(WAIT_S)
    assert order == ["b", "a"]


def test_requests_for_other_models_do_not_wait_while_there_is_room(machine: Machine):
    async def ask(lender: ModelLender) -> None:
        async with lender.lend(served("b")):
            pass

    with lender_of(machine) as lender, lender.borrow(served("a")) as loan:
        asyncio.run(ask(lender))
        assert not loan.is_wanted_back
        assert machine.loads == ["a", "b"]


def test_closing_ends_the_waiting_of_a_thread(machine: Machine):
    with ThreadPoolExecutor(1) as threads, lender_of(machine, max_models=1) as lender:
        with lender.borrow(served("a")) as loan:
            other = threads.submit(use, lender, "b")
            until(lambda: loan.is_wanted_back)
            lender.close_in_thread()
            with pytest.raises(ModelClosedError, match="stopping"):
                other.result(WAIT_S)
        with pytest.raises(ModelClosedError):
            use(lender, "a")


def test_only_a_model_that_must_be_loaded_is_weighed(machine: Machine):
    weighed: list[str] = []

    def weigh(model: object) -> int:
        weighed.append(getattr(model, "name", ""))
        return 3 * GIB

    with lender_of(machine, weigh=weigh) as lender:
        for _ in range(3):
            with lender.borrow(served("a", None)):
                pass
        with lender.borrow(served("b", GIB)):  # the settings say what it needs
            pass
        assert weighed == ["a"]
        with (
            pytest.raises(MemoryBudgetError, match=r"c needs about 3\.00 GiB"),
            lender.borrow(served("c", None, max_bytes=2 * GIB)),
        ):
            pass


def test_a_long_loan_is_not_taken_for_one_answer(machine: Machine):
    measured = MeasuredMemory(None)
    with lender_of(machine, measured=measured) as lender:
        with lender.borrow(served("a")):
            machine.taken["pages"] = 2 * GIB
        del machine.taken["pages"]
    assert measured.find(served("a")) == Measured(loading_bytes=GIB)

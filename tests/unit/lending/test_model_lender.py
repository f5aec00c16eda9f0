"""Loading, lending and unloading, with models that are nothing but their size."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from clocks import GENEROUS_S
from fake_machine import GIB, Machine, served
from smallsight.errors import BrokenCheckpointError, MemoryBudgetError, OutOfResourcesError
from smallsight.lending.measured_memory import MeasuredMemory
from smallsight.lending.model_lender import ModelLender
from smallsight.lending.residency import Residency
from smallsight.model.answer import TileCounts


def run(
    machine: Machine,
    work: Callable[[ModelLender], Awaitable[None]],
    *,
    max_models: int = 2,
    max_bytes: int = 4 * GIB,
    keep_alive_s: float = -1,
    measured: MeasuredMemory | None = None,
) -> None:
    async def go() -> None:
        pool = ModelLender(
            Residency(max_models=max_models, max_bytes=max_bytes),
            machine.load,
            keep_alive_s=keep_alive_s,
            measure=machine.measure,
            measured=measured,
        )
        try:
            await asyncio.wait_for(work(pool), GENEROUS_S)
        finally:
            machine.gate.set()
            await pool.close()
        assert machine.taken == {}

    asyncio.run(go())


@pytest.fixture
def machine() -> Machine:
    return Machine({"a": GIB, "b": GIB, "c": GIB})


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


async def let_others_run() -> None:
    """Return when whoever can go on without a thread's help has gone on: nothing here takes more turns."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_model_is_loaded_once_for_all_who_ask(machine: Machine):
    async def work(pool: ModelLender) -> None:
        machine.gate.clear()

        async def use() -> str:
            async with pool.lend(served("a")) as model:
                return model.name

        asked = [asyncio.create_task(use()) for _ in range(5)]
        await until(lambda: any(one.progress for one in pool.loaded()))
        assert [(one.stage, one.progress) for one in pool.loaded()] == [("loading", 0.25)]
        machine.gate.set()
        assert await asyncio.gather(*asked) == ["a"] * 5
        assert machine.loads == ["a"]
        assert (pool.num_loads, pool.loaded()[0].num_users) == (1, 0)

    run(machine, work)


def test_another_model_takes_the_place_of_the_least_recently_used(machine: Machine):
    async def work(pool: ModelLender) -> None:
        for name in ("a", "b", "a", "c"):
            async with pool.lend(served(name)):
                pass
        assert [one.name for one in pool.loaded()] == ["a", "c"]
        assert set(machine.taken) == {"a", "c"}

    run(machine, work)


def test_a_model_in_use_is_waited_for(machine: Machine):
    async def work(pool: ModelLender) -> None:
        order = []

        async def use(name: str) -> None:
            async with pool.lend(served(name)):
                order.append(name)

        async with pool.lend(served("a")):
            other = asyncio.create_task(use("b"))
            await let_others_run()
            order.append("a ends")
        await other
        assert order == ["a ends", "b"]

    run(machine, work, max_models=1)


def test_many_requests_for_few_places_all_get_their_turn(machine: Machine):
    async def work(pool: ModelLender) -> None:
        async def use(name: str) -> str:
            async with pool.lend(served(name)) as model:
                await asyncio.sleep(0.001)
                return model.name

        names = ["a", "b", "c"] * 20
        assert await asyncio.gather(*map(use, names)) == names
        assert pool.num_loads - pool.num_unloads == len(pool.loaded())

    run(machine, work)


def test_a_model_that_is_always_in_use_does_not_keep_others_out(machine: Machine):
    async def work(pool: ModelLender) -> None:
        ended, num_uses = asyncio.Event(), 0

        async def use_again_and_again() -> None:
            nonlocal num_uses
            while not ended.is_set():
                async with pool.lend(served("a")):
                    num_uses += 1
                    await asyncio.sleep(0)

        busy = [asyncio.create_task(use_again_and_again()) for _ in range(5)]
        await until(lambda: num_uses > 10)
        for name in ("b", "c", "b"):
            before = num_uses
            async with pool.lend(served(name)):
                assert num_uses - before <= 2 * len(busy), "who came later was served first"
        ended.set()
        await asyncio.gather(*busy)

    run(machine, work, max_models=1)


def test_a_model_that_is_being_loaded_keeps_nobody_from_another(machine: Machine):
    async def work(pool: ModelLender) -> None:
        await _use(pool, "a")
        machine.gate.clear()
        loading = asyncio.create_task(_use(pool, "b"))
        await until(lambda: len(pool.loaded()) == 2)
        await _use(pool, "a")  # would wait for ever if it waited for b
        machine.gate.set()
        await loading

    run(machine, work)


def test_who_gives_up_waiting_for_room_is_not_waited_for(machine: Machine):
    async def work(pool: ModelLender) -> None:
        async def use_other() -> None:
            async with pool.lend(served("b")):
                pass

        async with pool.lend(served("a")):
            other = asyncio.create_task(use_other())
            await let_others_run()
            waiting = asyncio.create_task(_use(pool, "a"))
            await let_others_run()
            assert not waiting.done()
            other.cancel()
            await waiting
        assert machine.loads == ["a"]

    run(machine, work, max_models=1)


async def _use(pool: ModelLender, name: str) -> None:
    async with pool.lend(served(name)):
        pass


def test_who_leaves_while_it_loads_leaves_nothing_behind(machine: Machine):
    async def work(pool: ModelLender) -> None:
        machine.gate.clear()

        async def use() -> None:
            async with pool.lend(served("a")):
                await asyncio.sleep(100)

        leaving = asyncio.create_task(use())
        await until(lambda: bool(pool.loaded()))
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        machine.gate.set()
        async with pool.lend(served("a")):  # what was begun is not begun again
            assert machine.loads == ["a"]
        assert pool.loaded()[0].num_users == 0

    run(machine, work)


def test_who_leaves_while_using_gives_it_back(machine: Machine):
    async def work(pool: ModelLender) -> None:
        async def use() -> None:
            async with pool.lend(served("a")):
                await asyncio.sleep(100)

        leaving = asyncio.create_task(use())
        await until(lambda: bool(pool.loaded() and pool.loaded()[0].num_users))
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert pool.loaded()[0].num_users == 0

    run(machine, work)


def test_a_failed_load_fails_its_requests_and_is_tried_again(machine: Machine):
    async def work(pool: ModelLender) -> None:
        machine.failure = BrokenCheckpointError("Broken.")
        with pytest.raises(BrokenCheckpointError):
            async with pool.lend(served("a")):
                pass
        assert pool.loaded() == ()
        machine.failure = None
        async with pool.lend(served("a")):
            pass

    run(machine, work)


def test_a_loader_without_memory_is_a_matter_of_the_budget(machine: Machine):
    async def work(pool: ModelLender) -> None:
        machine.failure = OutOfResourcesError("It needs 3 GiB, and 1 GiB is free.")
        with pytest.raises(MemoryBudgetError, match="3 GiB, and 1 GiB"):
            async with pool.lend(served("a")):
                pass

    run(machine, work)


def test_no_room_is_refused_with_both_figures(machine: Machine):
    async def work(pool: ModelLender) -> None:
        with pytest.raises(MemoryBudgetError, match=r"needs about 5\.00 GiB .* 4\.00 GiB are available"):
            async with pool.lend(served("a", 5 * GIB)):
                pass
        with pytest.raises(MemoryBudgetError, match=r"needs about 1\.00 GiB .* 0\.50 GiB are available"):
            async with pool.lend(served("a", max_bytes=GIB // 2)):
                pass
        assert machine.loads == []

    run(machine, work)


def test_an_answer_without_room_is_refused_after_the_idle_ones_went(machine: Machine):
    async def work(pool: ModelLender) -> None:
        async with pool.lend(served("b")):
            pass
        async with pool.lend(served("a")):
            pass
        machine.total = sum(machine.taken.values()) + 1024  # others take the rest of the machine
        async with pool.lend(served("a")):  # b made room
            assert set(machine.taken) == {"a"}
        machine.total = sum(machine.taken.values()) + 1024
        with pytest.raises(MemoryBudgetError, match="An answer of a needs"):
            async with pool.lend(served("a")):
                pass
        assert pool.loaded()[0].num_users == 0

    run(machine, work)


@pytest.mark.parametrize("keep_alive_s", [0, 0.1])
def test_an_idle_model_goes_after_a_while(machine: Machine, keep_alive_s: float):
    async def work(pool: ModelLender) -> None:
        async with pool.lend(served("a")):
            await asyncio.sleep(2 * keep_alive_s)
            assert set(machine.taken) == {"a"}
        await until(lambda: pool.loaded() == ())
        assert machine.taken == {}

    run(machine, work, keep_alive_s=keep_alive_s)


def test_a_request_says_how_long_its_model_stays(machine: Machine):
    async def work(pool: ModelLender) -> None:
        async with pool.lend(served("a")):
            pool.keep_for("a", 0)
            assert [one.expires_in_s for one in pool.loaded()] == [None], "in use"
        await until(lambda: pool.loaded() == ())
        await _use(pool, "a")
        assert [one.expires_in_s for one in pool.loaded()] == [None], "loaded again: as the settings say"
        pool.keep_for("a", 3600)
        assert 3500 < pool.loaded()[0].expires_in_s <= 3600
        await _use(pool, "a")
        assert 3500 < pool.loaded()[0].expires_in_s <= 3600, "it counts until the next one"
        pool.keep_for("a", -1)
        assert pool.loaded()[0].expires_in_s is None
        pool.keep_for("nowhere", 0)
        pool.keep_for("a", 0)
        await until(lambda: pool.loaded() == ())

    run(machine, work, keep_alive_s=-1)


def test_a_use_starts_the_while_anew(machine: Machine):
    async def work(pool: ModelLender) -> None:
        for name in ("a", "b", "a"):
            await _use(pool, name)
        await until(lambda: pool.loaded() == ())
        assert machine.closed[-2:] == ["b", "a"], "the one used last goes last"

    run(machine, work, keep_alive_s=0.1)


def test_for_ever_is_for_ever(machine: Machine):
    async def work(pool: ModelLender) -> None:
        await _use(pool, "a")
        await let_others_run()
        assert [one.name for one in pool.loaded()] == ["a"]
        assert not [one for one in threading.enumerate() if one.name == "smallsight-idle"], "nothing waits"

    run(machine, work, keep_alive_s=-1)


def test_other_settings_load_it_anew(machine: Machine):
    async def work(pool: ModelLender) -> None:
        for precision in ("int8", "int8", "int4"):
            async with pool.lend(served("a", precision=precision)):
                pass
        async with pool.lend(served("a", precision="int4", max_tokens=99)):
            pass
        assert machine.loads == ["a", "a"]

    run(machine, work)


def test_what_loading_took_is_known_in_the_next_run(tmp_path: Path):
    file = tmp_path / "measured-memory.json"

    async def load(pool: ModelLender) -> None:
        await _use(pool, "a")

    run(Machine({"a": 3 * GIB}), load, measured=MeasuredMemory(file))
    smaller = Machine({"a": 3 * GIB}, total=2 * GIB)

    async def refuse(pool: ModelLender) -> None:
        with pytest.raises(MemoryBudgetError, match=r"a needs about 3\.00 GiB .* 2\.00 GiB are available"):
            await _use(pool, "a")
        assert smaller.loads == []

    run(smaller, refuse, measured=MeasuredMemory(file))


def test_what_answers_took_is_known_in_the_next_run(machine: Machine, tmp_path: Path):
    file = tmp_path / "measured-memory.json"

    async def answer(pool: ModelLender) -> None:
        async with pool.lend(served("a")):
            machine.taken["pages"] = 2 * GIB
        async with pool.lend(served("a")):  # the first answer took what the second one need not take again
            pass
        del machine.taken["pages"]

    run(machine, answer, measured=MeasuredMemory(file))

    async def refuse(pool: ModelLender) -> None:
        with pytest.raises(MemoryBudgetError, match=r"a needs about 3\.00 GiB .* 2\.50 GiB"):
            await _use(pool, "a")

    run(machine, refuse, measured=MeasuredMemory(file), max_bytes=5 * GIB // 2)


def test_looks_outlive_the_model(machine: Machine):
    async def work(pool: ModelLender) -> None:
        for name in ("a", "b", "c", "a"):
            await _use(pool, name)
        assert pool.tile_counts() == {"a": TileCounts(4, 2), "b": TileCounts(2, 1), "c": TileCounts(2, 1)}

    run(machine, work)

"""Which models stay and which go, on random lives of a pool."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from smallsight.lending.residency import Evict, Load, MemoryState, Refuse, Residence, Residency, Wait

PLENTY = MemoryState(resident_bytes=0, free_bytes=10**9)


def pool_of(*names: str, max_models: int = 3, max_bytes: int = 100) -> Residency:
    pool = Residency(max_models=max_models, max_bytes=max_bytes)
    for name in names:
        pool.begin_loading(name, 30)
        pool.finish_loading(name, 30)
    return pool


def test_what_fits_is_loaded():
    assert pool_of().decide(100, PLENTY) == Load()
    assert pool_of("a").decide(70, MemoryState(30, 10**9)) == Load()


def test_what_never_fits_is_refused_with_both_figures():
    assert pool_of().decide(101, PLENTY) == Refuse(101, 100)
    assert pool_of().decide(50, MemoryState(80, 10**9)) == Refuse(50, 20)
    assert pool_of().decide(50, MemoryState(0, 10)) == Refuse(50, 10)


def test_the_least_recently_used_goes_first():
    pool = pool_of("a", "b", "c")
    pool.begin_use("a")
    pool.finish_use("a")
    assert pool.decide(20, MemoryState(90, 10**9)) == Evict("b")
    pool.begin_use("b")
    assert pool.decide(20, MemoryState(90, 10**9)) == Evict("c")


def test_nobody_goes_for_a_model_that_would_not_fit_even_then():
    assert pool_of("a", "b").decide(99, MemoryState(70, 10**9)) == Refuse(99, 90)


def test_the_number_of_models_is_bounded_too():
    assert pool_of("a", max_models=1).decide(1, MemoryState(30, 10**9)) == Evict("a")


def test_a_model_in_use_is_waited_for():
    pool = pool_of("a", max_models=1)
    pool.begin_use("a")
    assert pool.decide(1, MemoryState(30, 10**9)) == Wait()
    pool.finish_use("a")
    assert pool.decide(1, MemoryState(30, 10**9)) == Evict("a")


@pytest.mark.parametrize("stage", ["loading", "unloading"])
def test_nothing_is_decided_while_memory_is_changing(stage: str):
    pool = pool_of()
    pool.begin_loading("a", 10)
    if stage == "unloading":
        pool.finish_loading("a", 10)
        pool.begin_unloading("a")
    assert pool.decide(1, PLENTY) == Wait()


def test_room_for_an_answer_is_made_by_others_that_are_idle():
    pool = pool_of("a", "b")
    assert pool.victim_for_room(40, MemoryState(60, 10**9), keep="a") is None
    assert pool.victim_for_room(41, MemoryState(60, 10**9), keep="a") == "b"
    pool.begin_use("b")
    assert pool.victim_for_room(41, MemoryState(60, 10**9), keep="a") is None


def test_misuse_is_noticed():
    pool = pool_of("a")
    with pytest.raises(ValueError, match="loaded already"):
        pool.begin_loading("a", 1)
    pool.begin_use("a")
    with pytest.raises(ValueError, match="in use"):
        pool.begin_unloading("a")
    pool.begin_loading("b", 1)
    with pytest.raises(ValueError, match="not ready"):
        pool.begin_use("b")


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_a_decision_to_load_never_breaks_the_bounds(needed: int, resident: int, free: int):
    pool = pool_of("a", "b")
    if pool.decide(needed, MemoryState(resident, free)) == Load():
        assert resident + needed <= pool.max_bytes
        assert needed <= free


SIZES = {f"m{size}": size for size in (5, 20, 35, 60)}


class Life(RuleBasedStateMachine):
    """A pool and the memory it speaks of, with requests that come, wait and go as the server's do."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Residency(max_models=2, max_bytes=90)
        self.real: dict[str, int] = {}

    def memory(self) -> MemoryState:
        taken = sum(self.real.values())
        return MemoryState(10 + taken, 100 - taken)

    @rule(name=st.sampled_from(sorted(SIZES)))
    def ask(self, name: str) -> None:
        resident = self.pool.get(name)
        if resident is not None:
            if resident.stage is Residence.READY:
                self.pool.begin_use(name)
            return
        match self.pool.decide(SIZES[name], self.memory()):
            case Load():
                self.pool.begin_loading(name, SIZES[name])
            case Evict(victim):
                self.pool.begin_unloading(victim)
            case Wait():
                assert any(not one.is_idle for one in self.pool.residents), "it would wait for ever"
            case Refuse(needed, available):
                assert needed > available
                assert needed > 80 - sum(one.charged_bytes for one in self.pool.residents if not one.is_idle)

    @precondition(lambda self: any(one.stage is Residence.LOADING for one in self.pool.residents))
    @rule(works=st.booleans())
    def end_loading(self, works: bool) -> None:
        name = next(one.name for one in self.pool.residents if one.stage is Residence.LOADING)
        if works:
            self.real[name] = SIZES[name]
            self.pool.finish_loading(name, SIZES[name])
        else:
            self.pool.forget(name)

    @precondition(lambda self: any(one.stage is Residence.UNLOADING for one in self.pool.residents))
    @rule()
    def end_unloading(self) -> None:
        name = next(one.name for one in self.pool.residents if one.stage is Residence.UNLOADING)
        del self.real[name]
        self.pool.forget(name)

    @precondition(lambda self: any(one.num_users for one in self.pool.residents))
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        used = [one.name for one in self.pool.residents if one.num_users]
        self.pool.finish_use(data.draw(st.sampled_from(used)))

    @invariant()
    def within_bounds(self) -> None:
        assert sum(self.real.values()) + 10 <= 90
        assert len(self.real) <= 2
        assert sum(one.stage is not Residence.READY for one in self.pool.residents) <= 1

    @invariant()
    def only_ready_models_are_used(self) -> None:
        assert all(one.stage is Residence.READY for one in self.pool.residents if one.num_users)


TestLife = Life.TestCase

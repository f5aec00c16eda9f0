"""The models in memory: loaded when first asked for, shared, unloaded when idle or in the way.

What goes and what stays is decided in ``engine.pool``; this file loads, measures, unloads, and lets requests
wait. It belongs to one event loop; loading and unloading happen in a thread.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from smallsight.errors import MemoryBudgetError, OutOfResourcesError
from smallsight.inventory.served_models import ServedModel
from smallsight.lending.measured_memory import MeasuredMemory
from smallsight.lending.residency import Evict, Load, MemoryState, Refuse, Residence, Residency
from smallsight.machine.memory import (
    free_memory_bytes,
    give_memory_back,
    resident_memory_bytes,
    set_lasting_objects_aside,
    take_lasting_objects_back,
)
from smallsight.model.answer import TileCounts
from smallsight.model.model import Model
from smallsight.policy.progress import OnProgress

log = structlog.get_logger(__name__)

_GIB = 1024**3
_ANSWER_BYTES = 64 * 1024**2  # before any answer of a model has been measured
FOREVER_S = -1

Loader = Callable[[ServedModel, OnProgress], Model]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """What `/health` says about one model; ``age_s`` counts from when loading began.

    ``progress`` is the part of loading that is done.
    """

    name: str
    stage: str
    progress: float
    num_users: int
    charged_bytes: int
    age_s: float


@dataclass(eq=False, slots=True)
class _Slot:
    served: ServedModel
    began_s: float
    model: Model | None = None
    progress: float = 0.0
    took_bytes: int = 0
    has_answered: bool = False
    is_awaited: bool = True  # by the request that had it loaded
    is_used_by_loader: bool = False
    unload_timer: asyncio.TimerHandle | None = None


class ModelLender:
    """Lends models to requests. Close it at the end."""

    def __init__(
        self,
        policy: Residency,
        load: Loader,
        *,
        keep_alive_s: float,
        measure: Callable[[], MemoryState] | None = None,
        measured: MeasuredMemory | None = None,
        weigh: Callable[[ServedModel], int] | None = None,
    ) -> None:
        self.policy = policy
        self.num_loads = 0
        self.num_unloads = 0
        self._load = load
        self._keep_alive_s = keep_alive_s
        self._weigh = weigh or (lambda served: served.needed_bytes or 0)
        self._measure = measure or measure_memory
        self._slots: dict[str, _Slot] = {}
        self._measured = measured or MeasuredMemory(None)
        self._tile_counts: dict[str, TileCounts] = {}  # of models that were unloaded
        self._waiting: list[asyncio.Future[None]] = []
        self._arrivals = itertools.count()
        self._wanting_room: set[int] = set()  # arrivals that wait until models in use are idle
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = ThreadPoolExecutor(1, "smallsight-loading")

    @asynccontextmanager
    async def lend(self, served: ServedModel) -> AsyncIterator[Model]:
        """Lend a model, loading it first if need be; it stays loaded at least until it is given back.

        Raises MemoryBudgetError when there is no room, and what loading raises.
        """
        slot = await self._obtain(served)
        began = self.num_loads + self.num_unloads, self._measure().resident_bytes
        try:
            assert slot.model is not None  # noqa: S101 - for the type checker: a ready slot has one
            yield slot.model
        finally:
            self._note_growth(slot, *began)
            self._give_back(slot)

    def loaded(self) -> tuple[LoadedModel, ...]:
        """Return what is in memory, the least recently used first."""
        now_s = time.monotonic()
        return tuple(
            LoadedModel(
                one.name,
                one.stage.name.lower(),
                self._slots[one.name].progress,
                one.num_users,
                one.charged_bytes,
                now_s - self._slots[one.name].began_s,
            )
            for one in self.policy.residents
        )

    def tile_counts(self) -> dict[str, TileCounts]:
        """Return how many tiles each model has looked at or known, unloaded ones too."""
        total = dict(self._tile_counts)
        for name, slot in self._slots.items():
            if slot.model is not None:
                total[name] = total.get(name, TileCounts()) + slot.model.tile_counts
        return total

    def memory(self) -> MemoryState:
        """Return what the process takes now, and what is free."""
        return self._measure()

    async def close(self) -> None:
        """Unload everything, in use or not."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._measured.save)
        for slot in self._slots.values():
            _stop_timer(slot)
            if slot.model is not None:
                await loop.run_in_executor(self._thread, slot.model.close)
        self._slots.clear()
        self._thread.shutdown(wait=True)
        take_lasting_objects_back()

    async def _obtain(self, served: ServedModel) -> _Slot:
        arrival = next(self._arrivals)
        try:
            return await self._obtain_in_turn(served, arrival)
        finally:
            if arrival in self._wanting_room:
                self._wanting_room.discard(arrival)
                self._tell_change()

    async def _obtain_in_turn(self, served: ServedModel, arrival: int) -> _Slot:
        """Obtain a model; who came after somebody that waits for room waits too, or it would never come."""
        while True:
            slot, resident = self._slots.get(served.name), self.policy.get(served.name)
            if any(earlier < arrival for earlier in self._wanting_room):
                await self._wait_for_change()
            elif slot is None or resident is None:
                if (loaded := await self._approach(served, arrival)) is not None:
                    return await self._settle(loaded, served)
            elif resident.stage is not Residence.READY:
                await self._wait_for_change()
            elif slot.served.load_key != served.load_key and resident.is_idle:
                await self._unload(served.name)
            else:
                self.policy.begin_use(served.name)
                return await self._settle(slot, served)

    async def _approach(self, served: ServedModel, arrival: int) -> _Slot | None:
        """Come one step nearer to having the model loaded; return it, in use, when this step loaded it."""
        known = self._measured.find(served)
        needed_bytes = max(self._weigh(served), known.loading_bytes + known.first_answer_bytes)
        if served.max_bytes is not None and needed_bytes > served.max_bytes:
            raise _no_room(served.name, needed_bytes, served.max_bytes)
        match self.policy.decide(needed_bytes, self._measure()):
            case Load():
                return await self._load_and_use(served, needed_bytes)
            case Evict(name):
                await self._unload(name)
            case Refuse(needed, available):
                raise _no_room(served.name, needed, available)
            case _:
                if all(one.stage is Residence.READY for one in self.policy.residents):
                    self._wanting_room.add(arrival)
                await self._wait_for_change()
        return None

    async def _load_and_use(self, served: ServedModel, needed_bytes: int) -> _Slot:
        """Load a model and use it at once: idle for a moment, it would be evicted for the next in line."""
        slot = self._slots[served.name] = _Slot(served, time.monotonic())
        self.policy.begin_loading(served.name, needed_bytes)
        try:
            await self._in_background(self._load_into(slot))
        except BaseException:
            slot.is_awaited = False
            if slot.is_used_by_loader:
                self._give_back(slot)
            raise
        return slot

    async def _load_into(self, slot: _Slot) -> None:
        served, before_bytes = slot.served, self._measure().resident_bytes
        loop = asyncio.get_running_loop()
        try:
            slot.model = await loop.run_in_executor(self._thread, self._load, served, partial(_note, slot))
        except BaseException as error:
            del self._slots[served.name]
            self.policy.forget(served.name)
            self._tell_change()
            if isinstance(error, OutOfResourcesError):
                raise MemoryBudgetError(error.message, hint=error.hint) from error
            raise
        await loop.run_in_executor(self._thread, set_lasting_objects_aside)
        grown_bytes = self._measure().resident_bytes - before_bytes
        slot.took_bytes, slot.progress = max(grown_bytes, slot.model.memory.weights_bytes), 1.0
        self._measured.note_loading(served, slot.took_bytes)
        self.policy.finish_loading(served.name, slot.took_bytes)
        if slot.is_awaited:
            self.policy.begin_use(served.name)
            slot.is_used_by_loader = True
        self.num_loads += 1
        asyncio.get_running_loop().run_in_executor(self._thread, self._measured.save)
        log.info("model_loaded", model=served.name, seconds=round(time.monotonic() - slot.began_s, 3))
        self._start_timer(slot)
        self._tell_change()

    async def _settle(self, slot: _Slot, served: ServedModel) -> _Slot:
        """Make room for the answer of a model in use, or give it back; raises MemoryBudgetError."""
        _stop_timer(slot)
        try:
            await self._make_room(slot, served)
        except BaseException:
            self._give_back(slot)
            raise
        return slot

    async def _make_room(self, slot: _Slot, served: ServedModel) -> None:
        """Unload idle models until an answer as large as the largest so far has room."""
        known = self._measured.find(served)
        answer_bytes = known.later_answer_bytes if slot.has_answered else known.first_answer_bytes
        wanted_bytes = max(answer_bytes, _ANSWER_BYTES)
        memory = self._measure()
        while (name := self.policy.victim_for_room(wanted_bytes, memory, served.name)) is not None:
            await self._unload(name)
            memory = self._measure()
        if wanted_bytes > (room_bytes := self._room_bytes(served, memory)):
            await asyncio.get_running_loop().run_in_executor(None, give_memory_back)
            room_bytes = self._room_bytes(served, self._measure())
        if wanted_bytes > room_bytes:
            raise _no_room(f"An answer of {served.name}", wanted_bytes, max(0, room_bytes))

    def _room_bytes(self, served: ServedModel, memory: MemoryState) -> int:
        """Return how much the process may still grow for an answer of this model."""
        room_bytes = min(self.policy.max_bytes - memory.resident_bytes, memory.free_bytes)
        if served.max_bytes is None:
            return room_bytes
        taken_bytes = sum(one.charged_bytes for one in self.policy.residents if one.name == served.name)
        return min(room_bytes, served.max_bytes - taken_bytes)

    def _note_growth(self, slot: _Slot, num_changes: int, before_bytes: int) -> None:
        """Remember what an answer took, when nothing else can have let the process grow meanwhile."""
        is_first, slot.has_answered = not slot.has_answered, True
        total_users = sum(one.num_users for one in self.policy.residents)
        if total_users != 1 or num_changes != self.num_loads + self.num_unloads:
            return
        grown_bytes = max(0, self._measure().resident_bytes - before_bytes)
        self._measured.note_answer(slot.served, grown_bytes, is_first=is_first)
        known = self._measured.find(slot.served)
        answer_bytes = max(known.first_answer_bytes, known.later_answer_bytes)
        self.policy.charge(slot.served.name, slot.took_bytes + answer_bytes)

    def _give_back(self, slot: _Slot) -> None:
        if self._slots.get(slot.served.name) is not slot:  # the pool was closed meanwhile
            return
        self.policy.finish_use(slot.served.name)
        if slot.served.cleanup_aggressive:
            asyncio.get_running_loop().run_in_executor(None, give_memory_back)
        self._start_timer(slot)
        self._tell_change()

    def _start_timer(self, slot: _Slot) -> None:
        """Have the model unloaded later, if nobody uses it now."""
        resident = self.policy.get(slot.served.name)
        if self._keep_alive_s == FOREVER_S or resident is None or not resident.is_idle:
            return
        _stop_timer(slot)
        loop = asyncio.get_running_loop()
        slot.unload_timer = loop.call_later(self._keep_alive_s, self._unload_soon, slot.served.name)

    def _unload_soon(self, name: str) -> None:
        resident = self.policy.get(name)
        if resident is not None and resident.is_idle:
            self._start(self._unload(name))

    async def _unload(self, name: str) -> None:
        slot = self._slots[name]
        _stop_timer(slot)
        self.policy.begin_unloading(name)
        await self._in_background(self._unload_from(slot))

    async def _unload_from(self, slot: _Slot) -> None:
        model, slot.model = slot.model, None
        if model is not None:
            self._tile_counts[slot.served.name] = (
                self._tile_counts.get(slot.served.name, TileCounts()) + model.tile_counts
            )
        loop = asyncio.get_running_loop()
        try:
            if model is not None:
                await loop.run_in_executor(self._thread, model.close)
        finally:
            del model  # its memory goes with the last reference
            await loop.run_in_executor(self._thread, self._measured.save)
            await loop.run_in_executor(self._thread, give_memory_back)
            del self._slots[slot.served.name]
            self.policy.forget(slot.served.name)
            self.num_unloads += 1
            log.info("model_unloaded", model=slot.served.name)
            self._tell_change()

    async def _in_background(self, work: Coroutine[None, None, None]) -> None:
        """Wait for work that goes on when the request that began it is given up."""
        await asyncio.shield(self._start(work))

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end_task)
        return task

    def _end_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("model_task_failed", why=str(error))

    async def _wait_for_change(self) -> None:
        change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(change)
        await change

    def _tell_change(self) -> None:
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            if not change.done():
                change.set_result(None)


def measure_memory() -> MemoryState:
    """Measure this process and this machine."""
    return MemoryState(resident_memory_bytes(), free_memory_bytes())


def _note(slot: _Slot, progress: float) -> None:
    slot.progress = max(slot.progress, min(progress, 1.0))


def _stop_timer(slot: _Slot) -> None:
    if slot.unload_timer is not None:
        slot.unload_timer.cancel()
        slot.unload_timer = None


def _no_room(what: str, needed_bytes: int, available_bytes: int) -> MemoryBudgetError:
    return MemoryBudgetError(
        f"{what} needs about {needed_bytes / _GIB:.2f} GiB of memory, and {available_bytes / _GIB:.2f} GiB "
        "are available.",
        hint="ask a smaller model, ask again later, or raise memory.max_gb.",
    )

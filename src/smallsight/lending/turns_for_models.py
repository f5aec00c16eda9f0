"""Decides who gets a model and who waits: makes room, and serves borrowers in order of arrival."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from smallsight.errors import MemoryBudgetError
from smallsight.inventory.served_models import ServedModel
from smallsight.lending.residency import Evict, Load, MemoryState, Refuse, Residence
from smallsight.lending.resident_models import ModelSlot, ResidentModels
from smallsight.lending.waiting import Steps
from smallsight.machine.memory import give_memory_back

_GIB = 1024**3
_ANSWER_BYTES = 64 * 1024**2  # before any answer of a model has been measured


@dataclass(frozen=True, slots=True)
class Grant:
    """A model that one more borrower uses, and the memory state when it was granted."""

    slot: ModelSlot
    memory: MemoryState


class TurnsForModels:
    """Obtains models for borrowers, in the order of their arrival where room is short.

    Its steps run under the lock of the resident models.
    """

    def __init__(self, models: ResidentModels, weigh: Callable[[ServedModel], int]) -> None:
        """``weigh`` returns the bytes that a model needs; called before loading, it may read files."""
        self._models = models
        self._weigh = weigh
        self._arrivals = itertools.count()
        self._wanting_room: set[int] = set()  # arrivals that wait until models in use are idle

    @property
    def is_room_wanted(self) -> bool:
        """Whether a borrower waits until a model that is in use is returned."""
        return bool(self._wanting_room)

    def obtain(self, served: ServedModel) -> Steps[Grant]:
        """Obtain a model and room for an answer; raises MemoryBudgetError and the errors of loading."""
        arrival = next(self._arrivals)
        try:
            return (yield from self._obtain_in_turn(served, arrival))
        finally:
            if arrival in self._wanting_room:
                self._wanting_room.discard(arrival)
                self._models.changes.announce()

    def _obtain_in_turn(self, served: ServedModel, arrival: int) -> Steps[Grant]:
        """Obtain a model; later borrowers wait behind one that waits for room, or it would starve."""
        models, needed_bytes = self._models, served.needed_bytes
        while True:
            models.require_open()
            slot, resident = models.slots.get(served.name), models.policy.get(served.name)
            if min(self._wanting_room, default=arrival) < arrival:
                yield models.changes.next()
            elif slot is None or resident is None:
                if needed_bytes is None:
                    needed_bytes = yield from self._weighed(served)
                elif (loaded := (yield from self._approach(served, needed_bytes, arrival))) is not None:
                    return (yield from self._settle(loaded, served))
            elif resident.stage is not Residence.READY:
                yield models.changes.next()
            elif slot.served.load_key != served.load_key and resident.is_idle:
                yield from models.unload(served.name)
            else:
                models.policy.begin_use(served.name)
                return (yield from self._settle(slot, served))

    def _weighed(self, served: ServedModel) -> Steps[int]:
        weighing = self._models.aside(partial(self._weigh, served))
        yield weighing
        return weighing.result()

    def _approach(self, served: ServedModel, footprint_bytes: int, arrival: int) -> Steps[ModelSlot | None]:
        """Take one step towards loading the model; return it, in use, if this step loaded it."""
        models = self._models
        known = models.measured.find(served)
        needed_bytes = max(footprint_bytes, known.loading_bytes + known.first_answer_bytes)
        if served.max_bytes is not None and needed_bytes > served.max_bytes:
            raise _no_room(served.name, needed_bytes, served.max_bytes)
        match models.policy.decide(needed_bytes, models.measure()):
            case Load():
                return (yield from models.load(served, needed_bytes))
            case Evict(name):
                yield from models.unload(name)
            case Refuse(needed, available):
                raise _no_room(served.name, needed, available)
            case _:
                if all(one.stage is Residence.READY for one in models.policy.residents):
                    self._wanting_room.add(arrival)
                yield models.changes.next()
        return None

    def _settle(self, slot: ModelSlot, served: ServedModel) -> Steps[Grant]:
        """Make room for the answer of a model in use; releases it on an error. Raises MemoryBudgetError."""
        self._models.keep(slot)
        try:
            memory = yield from self._make_room(slot, served)
        except BaseException:
            self._models.release(slot)
            raise
        return Grant(slot, memory)

    def _make_room(self, slot: ModelSlot, served: ServedModel) -> Steps[MemoryState]:
        """Unload idle models until the largest answer so far has room; return the memory state then."""
        models = self._models
        known = models.measured.find(served)
        answer_bytes = known.later_answer_bytes if slot.has_answered else known.first_answer_bytes
        wanted_bytes = max(answer_bytes, _ANSWER_BYTES)
        memory = models.measure()
        while (name := models.policy.victim_for_room(wanted_bytes, memory, served.name)) is not None:
            yield from models.unload(name)
            memory = models.measure()
        if wanted_bytes > self._room_bytes(served, memory):
            yield models.aside(give_memory_back)
            memory = models.measure()
            room_bytes = self._room_bytes(served, memory)
            if wanted_bytes > room_bytes:
                raise _no_room(f"An answer of {served.name}", wanted_bytes, max(0, room_bytes))
        return memory

    def _room_bytes(self, served: ServedModel, memory: MemoryState) -> int:
        """Return by how many bytes the process may still grow for an answer of this model."""
        policy = self._models.policy
        room_bytes = min(policy.max_bytes - memory.resident_bytes, memory.free_bytes)
        if served.max_bytes is None:
            return room_bytes
        taken_bytes = sum(one.charged_bytes for one in policy.residents if one.name == served.name)
        return min(room_bytes, served.max_bytes - taken_bytes)


def _no_room(what: str, needed_bytes: int, available_bytes: int) -> MemoryBudgetError:
    return MemoryBudgetError(
        f"{what} needs about {needed_bytes / _GIB:.2f} GiB of memory, and {available_bytes / _GIB:.2f} GiB "
        "are available.",
        hint="use a smaller model, try again later, or raise memory.max_gb.",
    )

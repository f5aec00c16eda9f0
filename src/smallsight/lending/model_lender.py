"""The one owner of loaded models: lends them to event loops and to plain threads.

Models are loaded on first use, shared, and unloaded when idle or when another needs the room. The memory of
answers is measured here; loading is in ``resident_models``, waiting in ``turns_for_models``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from smallsight.errors import MemoryBudgetError, OutOfResourcesError
from smallsight.inventory.served_models import ServedModel
from smallsight.lending.measured_memory import MeasuredMemory
from smallsight.lending.residency import MemoryState, Residency
from smallsight.lending.resident_models import ModelLoader, ModelSlot, ResidentModels
from smallsight.lending.turns_for_models import Grant, TurnsForModels
from smallsight.lending.waiting import finish_in_loop, finish_in_thread
from smallsight.machine.memory import free_memory_bytes, resident_memory_bytes
from smallsight.model.answer import TileCounts
from smallsight.model.model import Model

__all__ = ["LoadedModel", "Loan", "ModelLender", "measure_memory"]


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The state of one model for `/health`; ``age_s`` counts from the start of loading.

    ``progress`` is the fraction of loading that is done, from 0 to 1. ``expires_in_s`` is None for a model
    that is in use, or stays for always.
    """

    name: str
    stage: str
    progress: float
    num_users: int
    charged_bytes: int
    age_s: float
    expires_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Loan:
    """A model that a thread has borrowed for long work."""

    model: Model
    lender: ModelLender

    @property
    def is_wanted_back(self) -> bool:
        """Whether another borrower waits for room: return the model soon, and borrow it again."""
        return self.lender.is_room_wanted


class ModelLender:
    """Lends models. Thread-safe; only ``lend`` needs an event loop. Close it at the end."""

    def __init__(
        self,
        policy: Residency,
        load: ModelLoader,
        *,
        keep_alive_s: float,
        measure: Callable[[], MemoryState] | None = None,
        measured: MeasuredMemory | None = None,
        weigh: Callable[[ServedModel], int] | None = None,
    ) -> None:
        """``weigh`` returns the bytes that a model needs, if the settings do not say; it may read files."""
        self.policy = policy
        self._models = ResidentModels(
            policy,
            load,
            keep_alive_s=keep_alive_s,
            measure=measure or measure_memory,
            measured=measured or MeasuredMemory(None),
        )
        self._turns = TurnsForModels(self._models, weigh or _weigh_nothing)

    @property
    def num_loads(self) -> int:
        """How often a model was loaded."""
        return self._models.num_loads

    @property
    def num_unloads(self) -> int:
        """How often a model was unloaded."""
        return self._models.num_unloads

    @property
    def is_room_wanted(self) -> bool:
        """Whether a borrower waits until a model that is in use is returned."""
        return self._turns.is_room_wanted

    @asynccontextmanager
    async def lend(self, served: ServedModel) -> AsyncIterator[Model]:
        """Lend a model for one answer, loading it first if necessary; it stays loaded until it is returned.

        Raises MemoryBudgetError when there is no room, and any other error of loading. The memory of the
        answer is measured.
        """
        models = self._models
        try:
            grant = await finish_in_loop(self._turns.obtain(served), models.lock)
        except MemoryBudgetError:
            raise
        except (
            OutOfResourcesError
        ) as error:  # raised by loading; for a request it depends on what else is loaded
            raise MemoryBudgetError(error.message, hint=error.hint) from error
        num_changes = models.num_changes
        try:
            yield _model_of(grant.slot)
        finally:
            with models.lock:
                self._note_growth(grant, num_changes)
                models.release(grant.slot)

    @contextmanager
    def borrow(self, served: ServedModel) -> Iterator[Loan]:
        """Lend a model to this thread for many answers; blocks while it is loaded or others come first.

        Raises MemoryBudgetError when there is no room, and any error of loading. A borrower that works for
        long checks ``is_wanted_back`` between two answers.
        """
        models = self._models
        slot = finish_in_thread(self._turns.obtain(served), models.lock).slot
        try:
            yield Loan(_model_of(slot), self)
        finally:
            slot.has_answered = True
            models.release(slot)

    def keep_for(self, name: str, keep_alive_s: float) -> None:
        """Keep a model that is in memory for this long after its last use; 0 unloads it when idle.

        A negative number keeps it for always. It counts until the next call, or until the model is unloaded.
        """
        self._models.keep_for(name, keep_alive_s)

    def loaded(self) -> tuple[LoadedModel, ...]:
        """Return the models in memory, the least recently used first."""
        models, now_s = self._models, time.monotonic()
        with models.lock:
            return tuple(
                LoadedModel(
                    one.name,
                    one.stage.name.lower(),
                    models.slots[one.name].progress,
                    one.num_users,
                    one.charged_bytes,
                    now_s - models.slots[one.name].began_s,
                    models.expires_in_s(one.name),
                )
                for one in self.policy.residents
            )

    def listen(self, listener: Callable[[], None]) -> None:
        """Call a function whenever a model is loaded, unloaded or returned; it must return quickly."""
        with self._models.lock:
            self._models.changes.listen(listener)

    def tile_counts(self) -> dict[str, TileCounts]:
        """Return how many tiles each model has encoded or recalled, unloaded ones too."""
        return self._models.tile_counts()

    def memory(self) -> MemoryState:
        """Return the memory of the process now, and the free memory."""
        return self._models.measure()

    async def close(self) -> None:
        """Unload everything, in use or not; waiting borrowers get ModelClosedError."""
        await asyncio.to_thread(self._models.close)

    def close_in_thread(self) -> None:
        """Do what ``close`` does, blocking this thread."""
        self._models.close()

    def _note_growth(self, grant: Grant, num_changes: int) -> None:
        """Store the memory of an answer, unless something else may have grown the process meanwhile."""
        models, slot = self._models, grant.slot
        is_first, slot.has_answered = not slot.has_answered, True
        if self.policy.num_users != 1 or num_changes != models.num_changes:
            return
        grown_bytes = max(0, models.measure().resident_bytes - grant.memory.resident_bytes)
        known = models.measured.note_answer(slot.served, grown_bytes, is_first=is_first)
        answer_bytes = max(known.first_answer_bytes, known.later_answer_bytes)
        self.policy.charge(slot.served.name, slot.took_bytes + answer_bytes)


def measure_memory() -> MemoryState:
    """Measure this process and this machine."""
    return MemoryState(resident_memory_bytes(), free_memory_bytes())


def _model_of(slot: ModelSlot) -> Model:
    assert slot.model is not None  # noqa: S101 - for the type checker: a slot in use has one
    return slot.model


def _weigh_nothing(served: ServedModel) -> int:  # noqa: ARG001 - for models with their needs in the settings
    return 0

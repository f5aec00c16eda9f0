"""The models in memory: loads, measures and unloads them, one at a time, in a thread.

``residency`` decides which of them stay, ``turns_for_models`` who gets one and who waits.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from smallsight.errors import ModelClosedError
from smallsight.inventory.served_models import ServedModel
from smallsight.lending.idle_timer import IdleTimer
from smallsight.lending.measured_memory import MeasuredMemory
from smallsight.lending.residency import MemoryState, Residency
from smallsight.lending.waiting import Changes, Steps
from smallsight.machine.memory import (
    give_memory_back,
    set_lasting_objects_aside,
    take_lasting_objects_back,
)
from smallsight.model.answer import TileCounts
from smallsight.model.model import Model
from smallsight.policy.log import get_logger
from smallsight.policy.progress import OnProgress

log = get_logger(__name__)

FOREVER_S = -1

ModelLoader = Callable[[ServedModel, OnProgress], Model]
_Result = TypeVar("_Result")


@dataclass(eq=False, slots=True)
class ModelSlot:
    """One model in memory; ``model`` is None while it is being loaded or unloaded."""

    served: ServedModel
    began_s: float
    model: Model | None = None
    progress: float = 0.0
    took_bytes: int = 0
    has_answered: bool = False
    is_awaited: bool = True  # by the borrower that had it loaded
    is_used_by_loader: bool = False
    keep_alive_s: float | None = None  # None: as the settings say


class ResidentModels:
    """Loads, measures and unloads models. Thread-safe: every call takes ``lock``.

    The steps of other classes run under the same lock, so the state does not change between two waits.
    """

    def __init__(
        self,
        policy: Residency,
        load: ModelLoader,
        *,
        keep_alive_s: float,
        measure: Callable[[], MemoryState],
        measured: MeasuredMemory,
    ) -> None:
        self.policy = policy
        self.measure = measure
        self.measured = measured
        self.lock = threading.RLock()
        self.changes = Changes()
        self.slots: dict[str, ModelSlot] = {}
        self.num_loads = 0
        self.num_unloads = 0
        self.is_closed = False
        self._load = load
        self._keep_alive_s = keep_alive_s
        self._timer = IdleTimer(keep_alive_s, self._unload_if_idle)
        self._tile_counts: dict[str, TileCounts] = {}  # of models that were unloaded
        self._loading_thread = ThreadPoolExecutor(1, "smallsight-loading")
        self._side_thread = ThreadPoolExecutor(1, "smallsight-memory")

    @property
    def num_changes(self) -> int:
        """How often something was loaded or unloaded."""
        return self.num_loads + self.num_unloads

    def load(self, served: ServedModel, charged_bytes: int) -> Steps[ModelSlot]:
        """Load a model and use it at once: if idle for a moment, it would be evicted for the next borrower.

        Loading continues if the borrower that started it is cancelled. Raises the errors of the loader.
        """
        slot = self.slots[served.name] = ModelSlot(served, time.monotonic())
        self.policy.begin_loading(served.name, charged_bytes)
        self.changes.tell()
        try:
            yield self._in_loading_thread(partial(self._load_into, slot))
        except BaseException:
            slot.is_awaited = False
            if slot.is_used_by_loader:
                self.release(slot)
            raise
        return slot

    def unload(self, name: str) -> Steps[None]:
        """Unload an idle model; that continues if the borrower that started it is cancelled."""
        yield self._begin_unloading(name)

    def keep(self, slot: ModelSlot) -> None:
        """Stop the idle timer of a model until it is released."""
        self._timer.clear(slot.served.name)

    def keep_for(self, name: str, keep_alive_s: float) -> None:
        """Set how long a model that is in memory stays there when idle, ``FOREVER_S`` for always."""
        with self.lock:
            slot = self.slots.get(name)
            if slot is not None:
                slot.keep_alive_s = keep_alive_s
                self._start_timer(slot)

    def expires_in_s(self, name: str) -> float | None:
        """Return the seconds after which an idle model is unloaded; None while in use, or for always."""
        return self._timer.remaining_s(name)

    def release(self, slot: ModelSlot) -> None:
        """Count one user less; a model without users is unloaded after a while."""
        with self.lock:
            if self.slots.get(slot.served.name) is not slot:  # everything was closed meanwhile
                return
            self.policy.finish_use(slot.served.name)
            if slot.served.cleanup_aggressive and not self.is_closed:
                self._side_thread.submit(give_memory_back)
            self._start_timer(slot)
            self.changes.announce()

    def aside(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Run short work outside the loading thread; raises ModelClosedError after ``close``."""
        self.require_open()
        return self._side_thread.submit(work)

    def tile_counts(self) -> dict[str, TileCounts]:
        """Return how many tiles each model has encoded or recalled, unloaded ones too."""
        with self.lock:
            total = dict(self._tile_counts)
            for name, slot in self.slots.items():
                if slot.model is not None:
                    total[name] = total.get(name, TileCounts()) + slot.model.tile_counts
            return total

    def close(self) -> None:
        """Unload everything, in use or not, and wait for it."""
        with self.lock:
            self.is_closed = True
            self.changes.announce()
        self._timer.close()
        self._loading_thread.shutdown(wait=True)
        self._side_thread.shutdown(wait=True)
        self.measured.save()
        with self.lock:
            for slot in self.slots.values():
                if slot.model is not None:
                    slot.model.close()
            self.slots.clear()
        take_lasting_objects_back()

    def require_open(self) -> None:
        """Raise ModelClosedError after ``close``."""
        if self.is_closed:
            raise ModelClosedError("No model is available: the program is stopping.")

    def _load_into(self, slot: ModelSlot) -> None:
        served, before_bytes = slot.served, self.measure().resident_bytes
        try:
            model = self._load(served, partial(_note, slot))
        except BaseException:
            with self.lock:
                del self.slots[served.name]
                self.policy.forget(served.name)
                self.changes.announce()
            raise
        set_lasting_objects_aside()
        grown_bytes = self.measure().resident_bytes - before_bytes
        with self.lock:
            slot.model, slot.progress = model, 1.0
            slot.took_bytes = max(grown_bytes, model.memory.weights_bytes)
            self.measured.note_loading(served, slot.took_bytes)
            self.policy.finish_loading(served.name, slot.took_bytes)
            if slot.is_awaited:
                self.policy.begin_use(served.name)
                slot.is_used_by_loader = True
            self.num_loads += 1
            self._start_timer(slot)
            self.changes.announce()
        log.info("model_loaded", model=served.name, seconds=round(time.monotonic() - slot.began_s, 3))
        self.measured.save()

    def _begin_unloading(self, name: str) -> Future[None]:
        slot = self.slots[name]
        self._timer.clear(name)
        self.policy.begin_unloading(name)
        return self._in_loading_thread(partial(self._unload_from, slot))

    def _unload_from(self, slot: ModelSlot) -> None:
        name = slot.served.name
        with self.lock:
            model, slot.model = slot.model, None
            if model is not None:
                self._tile_counts[name] = self._tile_counts.get(name, TileCounts()) + model.tile_counts
        try:
            if model is not None:
                model.close()
        finally:
            del model  # its memory is freed with the last reference
            self.measured.save()
            give_memory_back()
            with self.lock:
                del self.slots[name]
                self.policy.forget(name)
                self.num_unloads += 1
                self.changes.announce()
            log.info("model_unloaded", model=name)

    def _start_timer(self, slot: ModelSlot) -> None:
        resident = self.policy.get(slot.served.name)
        if resident is None or not resident.is_idle:
            return
        keep_alive_s = self._keep_alive_s if slot.keep_alive_s is None else slot.keep_alive_s
        if keep_alive_s == FOREVER_S:
            self._timer.clear(slot.served.name)
        else:
            self._timer.set(slot.served.name, keep_alive_s)

    def _unload_if_idle(self, name: str) -> None:
        """Unload a model whose idle time is over, unless it was used since."""
        with self.lock:
            resident = self.policy.get(name)
            if self.is_closed or resident is None or not resident.is_idle or self._timer.is_set(name):
                return
            self._begin_unloading(name).cancel()  # nobody waits for it

    def _in_loading_thread(self, work: Callable[[], None]) -> Future[None]:
        """Start work that continues if the returned future is cancelled."""
        self.require_open()
        waiter: Future[None] = Future()
        running = self._loading_thread.submit(contextvars.copy_context().run, work)
        running.add_done_callback(partial(_report_end, waiter))
        return waiter


def _report_end(waiter: Future[None], ended: Future[None]) -> None:
    """Copy the outcome of the work to the waiter; an error is logged if nobody waits."""
    error = ended.exception()
    if not waiter.set_running_or_notify_cancel():
        if error is not None:
            log.error("model_task_failed", why=str(error))
    elif error is None:
        waiter.set_result(None)
    else:
        waiter.set_exception(error)


def _note(slot: ModelSlot, progress: float) -> None:
    slot.progress = max(slot.progress, min(progress, 1.0))

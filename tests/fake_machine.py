"""A machine whose models are nothing but their size, for tests of lending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from smallsight.inventory.served_models import ServedModel
from smallsight.lending.residency import MemoryState
from smallsight.model.answer import MemoryReport, TileCounts

GIB = 1024**3
WAIT_S = 60


@dataclass
class Machine:
    """Memory that fake models take and give back, and how loading them goes."""

    sizes: dict[str, int]
    taken: dict[str, int] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None
    total: int = 10 * GIB

    def __post_init__(self) -> None:
        self.gate.set()

    def load(self, served: ServedModel, report: Callable[[float], None]) -> FakeModel:
        report(0.25)
        assert self.gate.wait(WAIT_S)
        self.loads.append(served.name)
        if self.failure is not None:
            raise self.failure
        self.taken[served.name] = self.sizes[served.name]
        return FakeModel(served.name, self)

    def measure(self) -> MemoryState:
        taken = sum(self.taken.values())
        return MemoryState(taken, self.total - taken)


@dataclass
class FakeModel:
    name: str
    machine: Machine

    @property
    def memory(self) -> MemoryReport:
        return MemoryReport(self.machine.sizes[self.name], 0)

    tile_counts = TileCounts(num_encoded=2, num_known=1)

    def close(self) -> None:
        del self.machine.taken[self.name]
        self.machine.closed.append(self.name)


def served(name: str, needed: int | None = GIB, **more: object) -> ServedModel:
    values = {
        "source": name,
        "precision": "auto",
        "device": "auto",
        "max_bytes": None,
        "cleanup_aggressive": False,
        "max_tokens": 10,
        "temperature": 0.0,
    }
    return ServedModel(name=name, needed_bytes=needed, **{**values, **more})


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread; the test fails at its time limit when that never comes."""
    tick = threading.Event()
    for _ in range(WAIT_S * 200):
        if condition():
            return
        tick.wait(0.005)
    raise AssertionError("the condition never held")

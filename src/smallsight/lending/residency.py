"""Decides which models stay loaded. Plain policy: no models, no clock, no input or output.

From the loaded models, their users and the memory it decides the next step: load now, unload one first, wait
until one is idle, or refuse. The code that loads and unloads reports every change to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Residence(Enum):
    """The stages of a model in memory."""

    LOADING = auto()
    READY = auto()
    UNLOADING = auto()


@dataclass(slots=True)
class Resident:
    """One model in memory; ``charged_bytes`` is what unloading it is expected to free."""

    name: str
    charged_bytes: int
    stage: Residence = Residence.LOADING
    num_users: int = 0
    last_used: int = 0  # a count of uses, not a time

    @property
    def is_idle(self) -> bool:
        """Whether it could be unloaded now."""
        return self.stage is Residence.READY and self.num_users == 0


@dataclass(frozen=True, slots=True)
class MemoryState:
    """The memory of the process, and the free memory of the machine."""

    resident_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Load:
    """Load the model: there is room."""


@dataclass(frozen=True, slots=True)
class Evict:
    """Unload this model, then decide again."""

    name: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Decide again when a model has been loaded, unloaded or returned."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse: the model does not fit, whichever others are unloaded."""

    needed_bytes: int
    available_bytes: int


Decision = Load | Evict | Wait | Refuse


class Residency:
    """Keeps at most ``max_models`` models within ``max_bytes``; the least recently used goes first."""

    def __init__(self, *, max_models: int, max_bytes: int) -> None:
        self.max_models = max_models
        self.max_bytes = max_bytes
        self._residents: dict[str, Resident] = {}
        self._num_uses = 0
        self.num_users = 0  # of all models together

    @property
    def residents(self) -> tuple[Resident, ...]:
        """All models in memory, the least recently used first."""
        return tuple(sorted(self._residents.values(), key=lambda one: one.last_used))

    def get(self, name: str) -> Resident | None:
        """Return the entry of a model, or None if it is not in memory."""
        return self._residents.get(name)

    def decide(self, needed_bytes: int, memory: MemoryState) -> Decision:
        """Return the next step before a model that needs this much may be loaded."""
        if any(one.stage is not Residence.READY for one in self._residents.values()):
            return Wait()  # the free memory is not known until that has ended
        room_bytes = self._room_bytes(memory)
        if len(self._residents) < self.max_models and needed_bytes <= room_bytes:
            return Load()
        freed_bytes = sum(one.charged_bytes for one in self._residents.values())
        if needed_bytes > room_bytes + freed_bytes:
            return Refuse(needed_bytes, max(0, room_bytes + freed_bytes))
        idle = next((one for one in self.residents if one.is_idle), None)
        if idle is not None:
            return Evict(idle.name)
        return Wait() if self._residents else Refuse(needed_bytes, max(0, room_bytes))

    def victim_for_room(self, wanted_bytes: int, memory: MemoryState, keep: str) -> str | None:
        """Return the idle model to unload so that an answer of ``keep`` has this much room.

        None if there is room already, or no model can be unloaded.
        """
        if wanted_bytes <= self._room_bytes(memory):
            return None
        return next((one.name for one in self.residents if one.is_idle and one.name != keep), None)

    def begin_loading(self, name: str, charged_bytes: int) -> None:
        """Add a model that is being loaded; raises ValueError if it is in memory."""
        if name in self._residents:
            raise ValueError(f"{name} is loaded already")
        self._residents[name] = Resident(name, charged_bytes)
        self._touch(name)

    def finish_loading(self, name: str, charged_bytes: int) -> None:
        """Record that a model is ready, and its measured memory."""
        resident = self._residents[name]
        resident.stage, resident.charged_bytes = Residence.READY, charged_bytes

    def charge(self, name: str, charged_bytes: int) -> None:
        """Record that a model takes more than expected; its charge never falls."""
        resident = self._residents[name]
        resident.charged_bytes = max(resident.charged_bytes, charged_bytes)

    def begin_use(self, name: str) -> None:
        """Count a user; raises ValueError for a model that is not ready."""
        if self._residents[name].stage is not Residence.READY:
            raise ValueError(f"{name} is not ready")
        self._residents[name].num_users += 1
        self.num_users += 1
        self._touch(name)

    def finish_use(self, name: str) -> None:
        """Count one user less."""
        self._residents[name].num_users -= 1
        self.num_users -= 1
        self._touch(name)

    def begin_unloading(self, name: str) -> None:
        """Take a model out of use; raises ValueError while it has users."""
        if not self._residents[name].is_idle:
            raise ValueError(f"{name} is in use")
        self._residents[name].stage = Residence.UNLOADING

    def forget(self, name: str) -> None:
        """Remove a model that was unloaded, or could not be loaded."""
        del self._residents[name]

    def _room_bytes(self, memory: MemoryState) -> int:
        return min(self.max_bytes - memory.resident_bytes, memory.free_bytes)

    def _touch(self, name: str) -> None:
        self._num_uses += 1
        self._residents[name].last_used = self._num_uses

"""Models that other servers run, as this server uses them: one engine each, created on first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smallsight.engine.remote.circuit import CircuitState
from smallsight.engine.remote.remote_engine import RemoteEngine
from smallsight.model.vision_language_model import VisionLanguageModel
from smallsight.remote_settings import RemoteSettings
from smallsight.settings import Settings

REMOTE = "remote"


@dataclass(frozen=True, slots=True)
class RemoteState:
    """The state of one remote model, for `/health` and `/metrics`."""

    name: str
    circuit: CircuitState
    fallback: str | None
    num_answers: int
    num_failures: int
    num_fallbacks: int


class RemoteModels:
    """The engines of remote models. Belongs to one event loop; callers borrow fallbacks from the lender."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._engines: dict[str, RemoteEngine] = {}
        self._replaced: list[RemoteEngine] = []
        self._num_fallbacks: dict[str, int] = {}

    def model(self, name: str, remote: RemoteSettings) -> VisionLanguageModel:
        """Return a model that sends its requests there; changed settings create a new engine."""
        engine = self._engines.get(name)
        if engine is None or engine.settings != remote:
            if engine is not None:
                self._replaced.append(engine)  # it finishes its requests
            engine = self._engines[name] = RemoteEngine(name, remote)
        return VisionLanguageModel(engine, name=name, precision=REMOTE, limits=self._settings().limits)

    def note_fallback(self, name: str) -> None:
        """Count an answer of a model of this machine instead."""
        self._num_fallbacks[name] = self._num_fallbacks.get(name, 0) + 1

    def states(self) -> tuple[RemoteState, ...]:
        """Return the states of all remote models in the settings, used or not."""
        return tuple(self._state(name, remote) for name, remote in sorted(self._settings().remotes.items()))

    def close(self) -> None:
        """Cancel the requests in progress."""
        for engine in (*self._engines.values(), *self._replaced):
            engine.close()

    def _state(self, name: str, remote: RemoteSettings) -> RemoteState:
        engine = self._engines.get(name)
        return RemoteState(
            name,
            CircuitState.CLOSED if engine is None else engine.state,
            remote.fallback,
            0 if engine is None else engine.num_answers,
            0 if engine is None else engine.num_failures,
            self._num_fallbacks.get(name, 0),
        )

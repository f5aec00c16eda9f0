"""What every loaded engine can do, whatever family it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from smallsight.engine.generation import Generation
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.families.messages import Detail, Message
from smallsight.settings import MIB


@dataclass(frozen=True)
class EngineOptions:
    """How an engine shares the machine; the defaults suit one person on two cores."""

    max_sequences: int = 16
    chunk_tokens: int = 256
    max_step_tokens: int = 512
    cache_bytes: int = 256 * MIB
    feature_cache_bytes: int = 64 * MIB


class Engine(Protocol):
    """A loaded model. Thread-safe: requests of several threads are run together."""

    @property
    def key(self) -> str:
        """Names the weights as they are stored."""
        ...

    @property
    def weights_bytes(self) -> int:
        """The weights as they are stored."""
        ...

    @property
    def describe_prompt(self) -> str:
        """What to ask for a description."""
        ...

    def start(
        self, messages: Sequence[Message], detail: Detail, options: SamplingOptions, *, ignores_end: bool
    ) -> Generation:
        """Make the prompt and start the request; raises SettingsError for what the family cannot do."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token of the vocabulary stands for; a control token, none."""
        ...

    def close(self) -> None:
        """End every request; the memory goes with the last reference."""
        ...


@runtime_checkable
class HasTasks(Protocol):
    """An engine whose family answers prompts that are names of tasks, some of them with places as data."""

    @property
    def tasks(self) -> frozenset[str]:
        """The prompts that are tasks."""
        ...

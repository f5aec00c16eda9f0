"""What every loaded engine can do, whatever family it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.place_finder import Wanted
from smallsight.engine.generation import Generation
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.families.frame_sampling import FrameSampling
from smallsight.families.messages import Detail, Message, TiledPicture
from smallsight.settings import MIB


@dataclass(frozen=True)
class EngineOptions:
    """How an engine shares the machine; the defaults suit one person on two cores."""

    max_sequences: int = 16
    chunk_tokens: int = 256
    max_step_tokens: int = 512
    cache_bytes: int = 256 * MIB
    feature_cache_bytes: int = 64 * MIB
    tiled_bytes: int = 48 * MIB
    max_blocks: int | None = (
        None  # of the KV cache: fewer than it has makes sequences wait, and preempts them
    )

    def limit_blocks(self, num_blocks: int) -> int:
        """Return how many of the KV cache's blocks are handed out."""
        return num_blocks if self.max_blocks is None else min(num_blocks, self.max_blocks)


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
    def supports_chat(self) -> bool:
        """Whether it sees several pictures and what was said before the last question."""
        ...

    @property
    def features(self) -> FeatureCache:
        """What tiles became."""
        ...

    @property
    def describe_prompt(self) -> str:
        """What to ask for a description."""
        ...

    def start(
        self,
        messages: Sequence[Message],
        detail: Detail,
        options: SamplingOptions,
        *,
        ignores_end: bool,
        client: str = "",
    ) -> Generation:
        """Make the prompt and start the request; raises SettingsError for what the family cannot do.

        Requests of different clients take turns.
        """
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token of the vocabulary stands for; a control token, none."""
        ...

    def close(self) -> None:
        """End every request; the memory goes with the last reference."""
        ...


@runtime_checkable
class SeesVideos(Protocol):
    """An engine whose family says how it looks at videos; the others are shown one frame of each."""

    @property
    def frame_sampling(self) -> FrameSampling:
        """Which frames, and how large."""
        ...

    @property
    def describe_video_prompt(self) -> str:
        """What to ask for a description of a video."""
        ...


@runtime_checkable
class RecallsPictures(Protocol):
    """An engine that keeps what it made of pictures' files for the next question about one."""

    def recall(self, digest: bytes, detail: Detail) -> TiledPicture | None:
        """Return the picture of the file with this SHA-256 as it was shown before, or None."""
        ...


@runtime_checkable
class HasTasks(Protocol):
    """An engine whose family answers prompts that are names of tasks, some of them with places as data."""

    @property
    def tasks(self) -> frozenset[str]:
        """The prompts that are tasks."""
        ...


@runtime_checkable
class HasLengths(Protocol):
    """An engine whose family was trained to describe in several lengths."""

    @property
    def descriptions(self) -> Mapping[str, str]:
        """What to ask for a description of each length, by the length's name."""
        ...


@runtime_checkable
class DetectsPlaces(Protocol):
    """An engine whose family finds what is named in a picture."""

    def find(self, image: Image.Image, detail: Detail, wanted: Wanted) -> Generation:
        """Look for things of one name; the outcome's data holds places in pixels."""
        ...


@runtime_checkable
class HasRoom(Protocol):
    """An engine whose pictures take so much room that few requests run side by side."""

    @property
    def num_at_once(self) -> int:
        """How many of usual length run side by side; more would wait, and hold memory meanwhile."""
        ...

"""What every loaded engine can do, whatever family it runs and whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.place_detector import Wanted
from smallsight.engine.generation import Generation
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import ArgumentError
from smallsight.families.family import Capabilities, Prompts
from smallsight.families.frame_sampling import FewFrames, FrameSampling
from smallsight.families.messages import Detail, Message, TiledPicture
from smallsight.policy.row_bands import RowBands
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
    row_bands: RowBands | None = None  # in place of what is measured on this machine
    max_blocks: int | None = None  # of the KV cache; fewer than it has make sequences wait, and preempt them

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
        """Bytes of the weights as they are stored."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the family's models can do besides answering a question about one picture."""
        ...

    @property
    def prompts(self) -> Prompts:
        """What to ask for a description."""
        ...

    @property
    def features(self) -> FeatureCache:
        """Image tokens of tiles that were encoded before."""
        ...

    @property
    def frame_sampling(self) -> FrameSampling:
        """Which frames of a video it is shown, and how large."""
        ...

    @property
    def max_at_once(self) -> int | None:
        """How many usual requests run side by side, where pictures take so much room that few do."""
        ...

    @property
    def is_batch_independent(self) -> bool:
        """Whether a greedy answer is the same alone and in any company, as measured on this machine."""
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
        """Make the prompt and start the request; raises ArgumentError for what the family cannot do.

        Requests of different clients take turns.
        """
        ...

    def recall(self, digest: bytes, detail: Detail, /) -> TiledPicture | None:
        """Return the picture of the file with this SHA-256 as it was shown before, or None."""
        ...

    def detect(self, image: Image.Image, detail: Detail, wanted: Wanted, /) -> Generation:
        """Look for things of one name; the outcome's data holds places in pixels."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token of the vocabulary stands for; a control token, none."""
        ...

    def close(self) -> None:
        """End every request; the memory goes with the last reference."""
        ...


class EngineDefaults:
    """What an engine inherits where its family can do no more than answer questions about pictures."""

    @property
    def frame_sampling(self) -> FrameSampling:
        """The middle frame of a video."""
        return FewFrames(1)

    @property
    def max_at_once(self) -> int | None:
        """No bound."""
        return None

    def recall(self, _digest: bytes, _detail: Detail) -> TiledPicture | None:
        """Return None: no pictures are kept."""
        return None

    def detect(self, _image: Image.Image, _detail: Detail, wanted: Wanted) -> Generation:
        """Raise ArgumentError."""
        raise ArgumentError(f"This model cannot {wanted.kind} objects.")

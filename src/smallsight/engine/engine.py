"""The protocol of every loaded model, independent of family and runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from PIL import Image

from smallsight.engine.decoding.feature_cache import FeatureCache
from smallsight.engine.decoding.place_detector import Wanted
from smallsight.engine.generation import Generation
from smallsight.engine.sampling_options import SamplingOptions
from smallsight.errors import ArgumentError
from smallsight.families.family import Capabilities, Family, Prompts
from smallsight.families.frame_sampling import FewFrames, FrameSampling
from smallsight.families.messages import Detail, Message, TiledPicture
from smallsight.families.stored_parts import PartWeights
from smallsight.policy.progress import OnProgress
from smallsight.policy.row_bands import RowBands
from smallsight.quant.scheme import Scheme
from smallsight.settings import MIB


@dataclass(frozen=True)
class EngineOptions:
    """An engine's limits; the defaults suit one user on two cores."""

    max_sequences: int = 16
    chunk_tokens: int = 256
    max_step_tokens: int = 512
    cache_bytes: int = 256 * MIB
    feature_cache_bytes: int = 64 * MIB
    tiled_bytes: int = 48 * MIB
    row_bands: RowBands | None = None  # instead of those measured on this machine
    uses_kernels: bool = False  # decode with the extension smallsight-kernels where that is possible
    measures_kernels: bool = False  # and only where it is the faster one, measured once on this machine
    most_workers: int = 1  # for a small decoder: many requests are answered on a thread each, one more slowly
    max_blocks: int | None = None  # of the KV cache; a low limit makes sequences wait or be preempted

    def limit_blocks(self, num_blocks: int) -> int:
        """Return how many of the KV cache's blocks may be allocated."""
        return num_blocks if self.max_blocks is None else min(num_blocks, self.max_blocks)


@dataclass(frozen=True)
class LoadRequest:
    """A model folder in Hugging Face layout, and how to load it.

    0 threads means one per physical core. Quantised weights are stored in ``prepared_dir``, if given.
    ``on_progress`` is called with the fraction of the work that is done. ``device`` is "auto", "cpu", "mps",
    "cuda", one of several such as "cuda:1", or "cuda:0+cuda:1" to share them, and ``compile`` asks for
    compiled decoding, for engines that have a choice.
    """

    model_dir: Path
    scheme: Scheme
    threads: int = 0
    prepared_dir: Path | None = None
    options: EngineOptions = field(default_factory=EngineOptions)
    on_progress: OnProgress | None = None
    device: str = "auto"
    compile: bool = False

    def report_loading(self, fraction: float) -> None:
        """Report the fraction of the weights that is loaded, as half of the work if compiling follows."""
        if self.on_progress is not None:
            self.on_progress(fraction / 2 if self.compile else fraction)

    def report_compiling(self, fraction: float) -> None:
        """Report the fraction of the shapes that is compiled, as the second half of the work."""
        if self.on_progress is not None:
            self.on_progress((1 + fraction) / 2)


class Engine(Protocol):
    """A loaded model. Thread-safe: requests from several threads run together."""

    @property
    def key(self) -> str:
        """Identifies the stored weights."""
        ...

    @property
    def weights_bytes(self) -> int:
        """Bytes of the stored weights."""
        ...

    @property
    def parts(self) -> tuple[PartWeights, ...]:
        """The stored weights, and the embedding table in the checkpoint's file, by part and form."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do besides answering a question about one picture."""
        ...

    @property
    def prompts(self) -> Prompts:
        """The prompts that ask for a description."""
        ...

    @property
    def features(self) -> FeatureCache:
        """The cache of image tokens by tile."""
        ...

    @property
    def frame_sampling(self) -> FrameSampling:
        """Which frames of a video the model gets, and at what size."""
        ...

    @property
    def max_at_once(self) -> int | None:
        """How many typical requests fit in the KV cache at once, if few do; otherwise None."""
        ...

    @property
    def num_workers(self) -> int:
        """How many batches of requests it answers side by side."""
        ...

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that share the layers, if there are several; otherwise none."""
        ...

    @property
    def is_batch_independent(self) -> bool:
        """Whether greedy answers do not depend on the batch, as measured on this machine."""
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
        """Make the prompt and start the request; raises ArgumentError for what the family does not support.

        Requests of different clients take turns. ``ignores_end`` generates past end tokens, for benchmarks.
        """
        ...

    def score(
        self, messages: Sequence[Message], detail: Detail, answer: str | Sequence[int], /
    ) -> Generation:
        """Start scoring a given answer, a text or token ids; the outcome has its scores.

        Raises ArgumentError and PromptTooLongError.
        """
        ...

    def count_tokens(self, messages: Sequence[Message], detail: Detail, tools: str | None = None, /) -> int:
        """Make the prompt and return its number of tokens, image tokens included; runs no network.

        ``tools`` are those of ``SamplingOptions``, for models that know tools.

        Raises ArgumentError and PromptTooLongError as ``start`` does.
        """
        ...

    def recall(self, digest: bytes, detail: Detail, /) -> TiledPicture | None:
        """Return the tiled picture cached for the file with this SHA-256, or None."""
        ...

    def detect(self, image: Image.Image, detail: Detail, wanted: Wanted, /) -> Generation:
        """Detect the named things; the outcome's data holds their places in pixels."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for; empty for a control token."""
        ...

    def close(self) -> None:
        """End every request; the memory is freed with the last reference."""
        ...


class EngineDefaults:
    """Defaults for a family that only answers questions about pictures."""

    family: Family

    @property
    def capabilities(self) -> Capabilities:
        """Those of the family."""
        return self.family.capabilities

    @property
    def prompts(self) -> Prompts:
        """Those of the family."""
        return self.family.prompts

    @property
    def frame_sampling(self) -> FrameSampling:
        """Only the middle frame of a video."""
        return FewFrames(1)

    @property
    def max_at_once(self) -> int | None:
        """None: no limit."""
        return None

    @property
    def num_workers(self) -> int:
        """One."""
        return 1

    @property
    def devices(self) -> tuple[str, ...]:
        """None: the model is on one device."""
        return ()

    def recall(self, _digest: bytes, _detail: Detail) -> TiledPicture | None:
        """Return None: pictures are not cached."""
        return None

    def detect(self, _image: Image.Image, _detail: Detail, wanted: Wanted) -> Generation:
        """Raise ArgumentError: not supported."""
        raise ArgumentError(f"This model cannot {wanted.kind} objects.")

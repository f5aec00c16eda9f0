"""The protocols of a ``Plan.INLINE`` family: processor, weights and networks of one checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from tokenizers import Tokenizer

from smallsight.families.frame_sampling import FrameSampling
from smallsight.families.messages import Detail, Message, PreparedPrompt, TiledPicture
from smallsight.families.siglip_tower import SigLIPTower
from smallsight.families.step_decoder import StepDecoder
from smallsight.families.tensor_files import RowTable
from smallsight.families.weight_source import WeightSource
from smallsight.quant.forms import Stored


class ChatProcessor(Protocol):
    """Converts conversations to tokens and tiles. Thread-safe."""

    tokenizer: Tokenizer
    image_token_id: int  # placeholder for one image token of a tile
    tokens_per_tile: int
    stop_token_ids: frozenset[int]  # tokens that end an answer
    is_proofread: bool  # its answers are corrected by a ``Proofreader``

    @property
    def frame_sampling(self) -> FrameSampling:
        """Which frames of a video the model gets, and at what size."""
        ...

    @property
    def knows_tools(self) -> bool:
        """Whether a prompt can offer tools."""
        ...

    def recall(self, digest: bytes, detail: Detail) -> TiledPicture | None:
        """Return the tiles cached for the file with this SHA-256, or None."""
        ...

    def prepare(
        self,
        messages: Sequence[Message],
        *,
        detail: Detail = Detail.HIGH,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> PreparedPrompt:
        """Convert a conversation to tokens and tiles; raises ArgumentError for an unsupported one."""
        ...

    def encode_answer(self, text: str) -> list[int]:
        """Return the tokens of an answer with this text, as a model begins it and without an end token."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the tokens' text without control tokens."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        ...


class InlineModel(WeightSource, Protocol):
    """One opened checkpoint."""

    @property
    def decoder_names(self) -> tuple[str, ...]:
        """Name prefixes of the text network's weights."""
        ...

    @property
    def context_tokens(self) -> int:
        """Limit on the tokens of prompt and answer together."""
        ...

    @property
    def processor(self) -> ChatProcessor:
        """The checkpoint's processor."""
        ...

    def embeddings(self) -> RowTable:
        """Return the token embedding table, memory-mapped from its file."""
        ...

    def to_patches(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vision network's input for one tile, float32 [1, patches, 3 * patch_px**2]."""
        ...

    def shortened(self, layers: int, outputs: int) -> Self:
        """Return the same model with its first layers and outputs only, to compute a part of it."""
        ...

    def vision_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Build the network from a tile's patches to its image tokens, float32 [1, tokens, hidden]."""
        ...

    def text_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Build the paged decoder; ``engine.openvino.paged_runner`` defines its inputs and outputs."""
        ...

    def step_decoder(self, stored: Mapping[str, Stored]) -> StepDecoder | None:
        """Return what an engine without graphs needs to decode, or None for another kind of decoder."""
        ...

    def siglip_tower(self, stored: Mapping[str, Stored]) -> SigLIPTower | None:
        """Return what an engine without graphs needs to encode tiles, or None for another kind of tower."""
        ...

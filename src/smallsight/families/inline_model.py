"""What a family of ``Plan.INLINE`` hands to an engine: processor, weights and networks of one checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from tokenizers import Tokenizer

from smallsight.families.frame_sampling import FrameSampling
from smallsight.families.messages import Detail, Message, PreparedPrompt, TiledPicture
from smallsight.families.tensor_files import RowTable
from smallsight.quant.scheme import Stored


class ChatProcessor(Protocol):
    """Makes tokens and tiles of conversations. Safe to use from several threads."""

    tokenizer: Tokenizer
    image_token_id: int  # stands for a part of a tile
    tokens_per_tile: int
    stop_token_ids: frozenset[int]  # end an answer

    @property
    def frame_sampling(self) -> FrameSampling:
        """Which frames of a video the model is shown, and how large."""
        ...

    def recall(self, digest: bytes, detail: Detail) -> TiledPicture | None:
        """Return a picture as it was shown before, by the SHA-256 of its file, or None."""
        ...

    def prepare(self, messages: Sequence[Message], *, detail: Detail = Detail.HIGH) -> PreparedPrompt:
        """Turn a conversation into tokens and tiles."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of tokens, control tokens left out."""
        ...

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        ...


class InlineModel(Protocol):
    """One opened checkpoint."""

    @property
    def weight_files(self) -> tuple[Path, ...]:
        """The checkpoint's safetensors files."""
        ...

    @property
    def identity(self) -> str:
        """Names the networks that the weights are for."""
        ...

    @property
    def stored_version(self) -> int:
        """Names how weights are stored; it rises when that changes."""
        ...

    @property
    def decoder_names(self) -> tuple[str, ...]:
        """The beginnings of the names of weights that the text network multiplies by."""
        ...

    @property
    def context_tokens(self) -> int:
        """How many tokens prompt and answer may have together."""
        ...

    @property
    def processor(self) -> ChatProcessor:
        """What makes prompts of conversations."""
        ...

    def store(self) -> Iterator[tuple[str, Stored]]:
        """Yield every weight in its stored form, by name, reading the checkpoint as it goes."""
        ...

    def embeddings(self) -> RowTable:
        """Return the table of token embeddings, left in its file."""
        ...

    def to_patches(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the vision network takes for one tile."""
        ...

    def vision_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Lay out the network from a tile's patches to its image tokens, float32 [1, tokens, hidden]."""
        ...

    def text_graph(self, stored: Mapping[str, Stored]) -> ov.Model:
        """Lay out the paged decoder; inputs and outputs as ``engine.openvino.paged_runner`` uses them."""
        ...

"""Converts a picture and text to the inputs of moondream2's networks, with the reference's results.

Source: vikhyat/moondream 8ac77eb, torch/moondream.py. User text is data: control tokens in it are tokenised
as characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from smallsight.errors import BrokenCheckpointError
from smallsight.families.byte_level import token_bytes
from smallsight.families.messages import Detail, PreparedPrompt
from smallsight.families.moondream2.config import Moondream2Config, read_config
from smallsight.families.moondream2.crops import cut_crops
from smallsight.families.moondream2.templates import PromptKind
from smallsight.families.patches import value_patches
from smallsight.families.plain_rgb import OpenedImage
from smallsight.families.tokenizer_file import read_tokenizer

GUARD = "\U000f0000"  # private use area: splits a control token in user text


class Moondream2Processor:
    """One checkpoint's tokeniser, templates and picture processing. Thread-safe."""

    def __init__(self, model_dir: Path) -> None:
        """Read a folder in Hugging Face layout; raises BrokenCheckpointError or ModelNotRunnableError."""
        self.config: Moondream2Config = read_config(model_dir)
        self.tokenizer = _tokenizer(model_dir / "tokenizer.json", self.config.text.vocabulary)
        self.image_token_id = self.config.image_token_id
        self.tokens_per_tile = self.config.tokens_per_image
        self.stop_token_ids = frozenset((self.config.end_token_id,))
        self.is_proofread = False
        added = self.tokenizer.get_added_tokens_decoder().values()
        self._controls = tuple(sorted((one.content for one in added if one.special), key=len, reverse=True))
        self._values = ((np.arange(256, dtype=np.float32) / np.float32(255)) - np.float32(0.5)) / np.float32(
            0.5
        )

    def prepare(self, image: OpenedImage, words: str, kind: PromptKind, detail: Detail) -> PreparedPrompt:
        """Make the prompt of a question or a detection; "short caption" as a question asks for a caption."""
        caption = self.config.templates.caption_of(words) if kind == "query" else None
        if caption is not None:
            prompt_ids = list(caption)
        else:
            before, after = self.config.templates.around[kind]
            prompt_ids = [*before, *self._encode(words), *after]
        beginning = [self.config.begin_token_id, *[self.image_token_id] * self.tokens_per_tile]
        picture = cut_crops(image, detail, self.config.vision)
        return PreparedPrompt((*beginning, *prompt_ids), (picture,), prefix_tokens=len(beginning))

    def normalise(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a crop's normalised pixels, float32 [1, 3, height, width]."""
        return self._values[pixels_HWC].transpose(2, 0, 1)[None]

    def to_patches(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a crop's patches for the vision tower, float32 [1, patches, 3 * patch_px**2]."""
        return value_patches(pixels_HWC, [self._values] * 3, self.config.vision.patch_px)

    def encode_answer(self, text: str) -> list[int]:
        """Return the tokens of an answer with this text; the model begins each with a space."""
        return self._encode(f" {text}")

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the tokens' text without control tokens."""
        return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=True))

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        return token_bytes(self.tokenizer, token_id)

    def _encode(self, text: str) -> list[int]:
        for control in self._controls:
            text = text.replace(control, control[0] + GUARD + control[1:])
        pieces = text.split(GUARD)
        return [id_ for piece in pieces for id_ in self.tokenizer.encode(piece, add_special_tokens=False).ids]


def _tokenizer(path: Path, vocabulary: int) -> Tokenizer:
    tokenizer = read_tokenizer(path)
    if (largest := max(tokenizer.get_vocab().values(), default=0)) >= vocabulary:
        raise BrokenCheckpointError(
            f"{path} has token {largest}, but the network only {vocabulary} tokens.",
            hint="config.json and tokenizer.json must belong together.",
        )
    return tokenizer

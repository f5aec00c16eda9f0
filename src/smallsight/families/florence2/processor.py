"""Converts a prompt and a picture to the inputs of Florence-2's networks, with the reference's results.

Source: transformers 5.x, models/florence2 and models/clip (the image processor). User text is data: control
tokens in it are tokenised as characters, except locations (``<loc_5>``), which region tasks need.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tokenizers import AddedToken, Tokenizer

from smallsight.catalog.checkpoint import read_json_object
from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.families.florence2.config import Florence2Config, read_config
from smallsight.families.florence2.post_process import Rules, read_answer
from smallsight.families.florence2.tasks import TaskPrompt, find_task
from smallsight.families.messages import PreparedPrompt, Tile
from smallsight.families.plain_rgb import OpenedImage, on_white, size_of
from smallsight.families.processor_files import picture_settings
from smallsight.families.tokenizer_file import read_tokenizer
from smallsight.media.fast_resizing import resize_in_steps

IMAGE, BEGIN, END, PADDING = "<image>", "<s>", "</s>", "<pad>"
BART_TOKENS = 50265
# The tokens added to BART's, in order; "desciption" is spelt that way. Source: microsoft/Florence-2-base.
_PAIRS = ("cap", "ncap", "dcap", "grounding", "seg")
_LATER_PAIRS = ("region_cap", "region_to_desciption", "proposal", "poly")
ADDED = (
    *("<od>", "</od>", "<ocr>", "</ocr>"),
    *(f"<loc_{place}>" for place in range(1000)),
    *(f"<{slash}{name}>" for name in _PAIRS for slash in ("", "/")),
    "<sep>",
    *(f"<{slash}{name}>" for name in _LATER_PAIRS for slash in ("", "/")),
    *("<and>", IMAGE),
)
GUARD = "\U000f0000"  # private use area: splits a control token in user text


@dataclass(frozen=True, slots=True, eq=False)
class Florence2Prompt:
    """A prepared prompt, its task, the picture's (width, height), and the person's words."""

    prepared: PreparedPrompt
    task: TaskPrompt
    size: tuple[int, int]
    words: str = ""


class Florence2Processor:
    """One checkpoint's tokeniser, tasks and picture processing. Thread-safe."""

    def __init__(self, model_dir: Path) -> None:
        """Read a folder in Hugging Face layout; raises BrokenCheckpointError or ModelNotRunnableError."""
        self.config: Florence2Config = read_config(model_dir)
        path, described = picture_settings(model_dir)
        self.image_px = _side(path, described)
        self.tokens_per_image = self.config.tokens_per_image(self.image_px)
        self._resample = Image.Resampling(described.get("resample", Image.Resampling.BICUBIC))
        factor = np.float64(described.get("rescale_factor", 1 / 255))
        scaled = (np.arange(256).astype(np.float64) * factor).astype(np.float32)
        try:
            pairs = zip(described["image_mean"], described["image_std"], strict=True)
            self._tables = [(scaled - np.float32(mean)) / np.float32(deviation) for mean, deviation in pairs]
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenCheckpointError(f"{path} has no image_mean and image_std of 3 numbers.") from error
        self.tokenizer = _tokenizer(model_dir / "tokenizer.json", self.config.image_token_id)
        self.rules = _rules(model_dir / "processor_config.json")

    def prepare(self, prompt: str, image: OpenedImage) -> Florence2Prompt:
        """Convert a task or free text and a picture to tokens and a tile; raises ArgumentError."""
        task, sentence = find_task(prompt)
        image_ids = [self.config.image_token_id] * self.tokens_per_image
        token_ids = [*image_ids, *self._encode(f"{BEGIN}{_guarded(sentence)}{END}")]
        rgb = on_white(image) if isinstance(image, Image.Image) else image
        pixels_HWC = resize_in_steps(rgb, [(self.image_px, self.image_px)], self._resample)
        tile = Tile(pixels_HWC, hashlib.sha256(pixels_HWC.tobytes()).digest())
        return Florence2Prompt(PreparedPrompt(tuple(token_ids), (tile,)), task, size_of(image), prompt)

    def normalise(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vision tower's input, float32 [1, 3, height, width]."""
        return np.stack([table[pixels_HWC[..., channel]] for channel, table in enumerate(self._tables)])[None]

    def encode_answer(self, text: str) -> list[int]:
        """Return the tokens of an answer with this text, after a begin token; locations are tokens."""
        return self._encode(f"{BEGIN}{_guarded(text)}")

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the tokens' text including control tokens and locations."""
        return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=False))

    def read(self, token_ids: Sequence[int], prompt: Florence2Prompt) -> dict[str, Any] | str:
        """Return the task's result in pixels of the picture; see ``post_process.read_answer``."""
        return read_answer(self.decode(token_ids), prompt.task, prompt.size, self.rules, prompt.words)

    def _encode(self, text: str) -> list[int]:
        pieces = text.split(GUARD)
        return [id_ for piece in pieces for id_ in self.tokenizer.encode(piece, add_special_tokens=False).ids]


def _guarded(text: str) -> str:
    """Split control tokens in user text, so that they are tokenised as characters."""
    for control in (IMAGE, BEGIN, END, PADDING):
        text = text.replace(control, control[0] + GUARD + control[1:])
    return text


def _side(path: Path, described: Mapping[str, Any]) -> int:
    """Return the side in pixels of the square that pictures are resized to."""
    size = described.get("size") or {}
    if described.get("do_center_crop", False) or size.get("height") != size.get("width"):
        raise ModelNotRunnableError(f"{path} does not resize pictures to a square: not supported.")
    side = size.get("height")
    if not isinstance(side, int) or not 16 <= side <= 4096:
        raise BrokenCheckpointError(
            f"{path} has size {size!r}, expected height and width.", hint="fetch it again."
        )
    return side


def _rules(path: Path) -> Rules:
    """Read the post-processing settings; a missing file means defaults."""
    described = read_json_object(path).get("post_processor_config") if path.exists() else None
    if not isinstance(described, dict):
        return Rules()
    phrases = described.get("phrase_grounding", {}).get("banned_grounding_tokens", [])
    return Rules(frozenset(map(str, phrases)), float(described.get("ocr", {}).get("AREA_THRESHOLD", 0.0)))


def _tokenizer(path: Path, image_token_id: int) -> Tokenizer:
    tokenizer = read_tokenizer(path)
    if tokenizer.get_vocab_size() == BART_TOKENS:  # microsoft/*: the reference adds the rest when loading
        tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in ADDED])
    missing = [
        token for token in (BEGIN, END, "<loc_0>", "<loc_999>") if tokenizer.token_to_id(token) is None
    ]
    if missing or tokenizer.token_to_id(IMAGE) not in (None, image_token_id):
        raise BrokenCheckpointError(
            f"{path} does not match config.json in {', '.join(missing) or IMAGE}.",
            hint="config.json and tokenizer.json must belong together.",
        )
    return tokenizer

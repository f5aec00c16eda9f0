"""Converts conversations with pictures and videos to tokens and tiles, with the reference's results.

Source: transformers 5.x, processing_idefics3 and processing_smolvlm. User text is data: control tokens in it
are tokenised as plain characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from smallsight.catalog.checkpoint import read_json_object
from smallsight.errors import ArgumentError, BrokenCheckpointError
from smallsight.families.byte_level import token_bytes
from smallsight.families.frame_sampling import FewFrames, FrameSampling
from smallsight.families.messages import (
    Detail,
    Message,
    PicturePart,
    PreparedPrompt,
    TextPart,
    Tile,
    TiledPart,
    TiledPicture,
    VideoPart,
)
from smallsight.families.smolvlm.chat_template import ChatTemplate, render_with_video
from smallsight.families.smolvlm.config import SmolVLMConfig, read_config
from smallsight.families.smolvlm.image_processor import ImageProcessor, tile_of
from smallsight.families.smolvlm.video_processor import VideoProcessor, words_around
from smallsight.families.tokenizer_file import read_tokenizer
from smallsight.families.tool_text import read_arguments
from smallsight.policy.recently_used import RecentlyUsed

IMAGE, AROUND, WHOLE = "<image>", "<fake_token_around_image>", "<global-img>"
END_OF_TURN = "<end_of_utterance>"
GUARD = "\U000f0000"  # private use area: splits a control token in user text
VIDEO = "\U000f0001"  # private use area: placeholder for a video, removed from user text

_PLACEHOLDERS = re.compile(f"{IMAGE}|{VIDEO}")


class SmolVLMProcessor:
    """One checkpoint's tokeniser, template and picture processing. Thread-safe."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        images: ImageProcessor,
        template: ChatTemplate,
        *,
        tokens_per_tile: int,
        image_token_id: int,
        stop_token_ids: frozenset[int],
        is_proofread: bool = False,
        videos: VideoProcessor | None = None,
        tiled_bytes: int = 0,
    ) -> None:
        """Tiles of pictures with a known file are cached, up to ``tiled_bytes``."""
        self.tokenizer = tokenizer
        self.tokens_per_tile = tokens_per_tile
        self.image_token_id = image_token_id
        self.stop_token_ids = stop_token_ids
        self.is_proofread = is_proofread
        self.tile_side_px = images.tile_px
        self.videos = videos
        self._tiled = RecentlyUsed[tuple[bytes, Detail], TiledPicture](tiled_bytes, lambda one: one.num_bytes)
        self._images = images
        self._template = template
        added = (token.content for token in tokenizer.get_added_tokens_decoder().values())
        self._controls = tuple(sorted({*added, IMAGE, AROUND, WHOLE, END_OF_TURN}, key=len, reverse=True))

    @classmethod
    def load(
        cls, model_dir: Path, *, config: SmolVLMConfig | None = None, tiled_bytes: int = 0
    ) -> SmolVLMProcessor:
        """Load a folder in Hugging Face layout; raises BrokenCheckpointError or ModelNotRunnableError."""
        config = config or read_config(model_dir)
        images = ImageProcessor.load(model_dir)
        if images.tile_px != config.vision.image_px:
            raise BrokenCheckpointError(
                f"{model_dir} has tiles of {images.tile_px} px, but its vision tower needs "
                f"{config.vision.image_px} px.",
                hint="config.json and preprocessor_config.json must belong together.",
            )
        tokenizer = read_tokenizer(model_dir / "tokenizer.json")
        if tokenizer.token_to_id(IMAGE) != config.image_token_id or tokenizer.token_to_id(AROUND) is None:
            raise BrokenCheckpointError(
                f"The tokenizer of {model_dir} has {IMAGE} as {tokenizer.token_to_id(IMAGE)}, "
                f"expected {config.image_token_id}.",
                hint="config.json and tokenizer.json must belong together.",
            )
        videos = VideoProcessor.find(model_dir)
        if videos is not None and videos.tile_px != images.tile_px:
            raise BrokenCheckpointError(
                f"{model_dir} has frames of {videos.tile_px} px and tiles of {images.tile_px} px.",
                hint="fetch it again.",
            )
        path = model_dir / "generation_config.json"
        generation = read_json_object(path) if path.exists() else {}
        return cls(
            tokenizer,
            images,
            ChatTemplate.load(model_dir),
            tokens_per_tile=config.tokens_per_tile,
            image_token_id=config.image_token_id,
            stop_token_ids=_stop_tokens(generation.get("eos_token_id"), tokenizer),
            is_proofread=generation.get("smallsight_proofread") is True,
            videos=videos,
            tiled_bytes=tiled_bytes,
        )

    @property
    def frame_sampling(self) -> FrameSampling:
        """As the checkpoint was trained on videos; otherwise a few frames of one tile each."""
        return self.videos or FewFrames(max_side_px=self.tile_side_px)

    def recall(self, digest: bytes, detail: Detail) -> TiledPicture | None:
        """Return the tiles cached for the file with this SHA-256, or None."""
        return self._tiled.find((digest, detail))

    @property
    def knows_tools(self) -> bool:
        """Whether the checkpoint's template has a place for tools."""
        return self._template.knows_tools

    def prepare(
        self,
        messages: Sequence[Message],
        *,
        detail: Detail = Detail.HIGH,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> PreparedPrompt:
        """Convert a conversation to tokens and tiles; raises ArgumentError if the template rejects it."""
        shown = [part for m in messages for part in m.parts if not isinstance(part, TextPart)]
        described = [self._for_template(message) for message in messages]
        if any(isinstance(part, VideoPart) for part in shown):
            rendered = render_with_video(described, {"image": IMAGE, "video": VIDEO})
        else:
            rendered = self._template.render(described, [self._guarded_values(one) for one in tools])
        pieces = _PLACEHOLDERS.split(rendered)
        if len(pieces) != len(shown) + 1:
            raise ArgumentError(
                f"The chat template uses {len(pieces) - 1} of {len(shown)} pictures.",
                hint="put pictures into user messages.",
            )
        text, tiles, num_tiles = [pieces[0]], list[Tile](), list[int]()
        for part, piece in zip(shown, pieces[1:], strict=True):
            words, part_tiles = (
                self._video(part) if isinstance(part, VideoPart) else self._picture(part, detail)
            )
            tiles += part_tiles
            num_tiles.append(len(part_tiles))
            text += [words, piece]
        return PreparedPrompt(tuple(self._encode("".join(text))), tuple(tiles), shown=tuple(num_tiles))

    def normalise(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the vision tower's input for a tile, float32 [1, 3, height, width]."""
        return self._images.normalise(pixels_HWC)

    def to_patches(self, pixels_HWC: NDArray[np.uint8], patch_px: int) -> NDArray[np.float32]:
        """Return a tile's patches for the vision tower, float32 [1, patches, 3 * patch_px**2]."""
        return self._images.to_patches(pixels_HWC, patch_px)

    def encode_answer(self, text: str) -> list[int]:
        """Return the tokens of an answer with this text, as a model begins it and without an end token."""
        pieces = (self._template.answer_opening + self._guarded(text)).split(GUARD)
        return [
            token for piece in pieces for token in self.tokenizer.encode(piece, add_special_tokens=False).ids
        ]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the tokens' text without control tokens."""
        return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=True))

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes that a token stands for."""
        return token_bytes(self.tokenizer, token_id)

    def _for_template(self, message: Message) -> dict[str, Any]:
        content = [
            {"type": "text", "text": self._guarded(part.text)}
            if isinstance(part, TextPart)
            else {"type": "video" if isinstance(part, VideoPart) else "image"}
            for part in message.parts
        ]
        described: dict[str, Any] = {"role": message.role, "content": content}
        if message.tool_calls:
            calls = [{"name": one.name, "arguments": read_arguments(one)} for one in message.tool_calls]
            described["tool_calls"] = [
                {"type": "function", "function": self._guarded_values(call)} for call in calls
            ]
        if message.call_id is not None:
            described["name"] = self._guarded(message.name)
        return described

    def _guarded_values(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Return JSON with every text in it guarded, names of fields too."""
        if isinstance(value, str):
            return self._guarded(value)
        if isinstance(value, Mapping):
            return {self._guarded(str(name)): self._guarded_values(one) for name, one in value.items()}
        return [self._guarded_values(one) for one in value] if isinstance(value, list) else value

    def _picture(self, part: PicturePart | TiledPart, detail: Detail) -> tuple[str, tuple[Tile, ...]]:
        tiled = part.picture if isinstance(part, TiledPart) else self._images.cut(part.image, detail)
        if isinstance(part, PicturePart) and part.digest is not None:
            self._tiled.remember((part.digest, detail), tiled)
        return self._image_text(tiled.rows, tiled.columns), tiled.tiles

    def _video(self, part: VideoPart) -> tuple[str, tuple[Tile, ...]]:
        tiles = tuple(tile_of(frame.pixels_HWC) for frame in part.video.frames)
        return words_around(part.video, [self._image_text(0, 0)] * len(tiles)), tiles

    def _guarded(self, text: str) -> str:
        """Split every control token in user text, so that it is tokenised as plain characters.

        This includes the start of one at the end of the text, which the message's next part might complete.
        """
        text = text.replace(GUARD, "").replace(VIDEO, "")
        for control in self._controls:
            text = text.replace(control, control[0] + GUARD + control[1:])
        for start in range(max(0, len(text) - len(self._controls[0]) + 1), len(text)):
            if text[start] == "<" and any(control.startswith(text[start:]) for control in self._controls):
                return text[: start + 1] + GUARD + text[start + 1 :]
        return text

    def _encode(self, text: str) -> list[int]:
        """Tokenise the pieces between guards separately, so that no control token forms across a guard."""
        pieces = text.split(GUARD)
        token_ids: list[int] = self.tokenizer.encode(pieces[0]).ids
        for piece in pieces[1:]:
            token_ids += self.tokenizer.encode(piece, add_special_tokens=False).ids
        return token_ids

    def _image_text(self, rows: int, columns: int) -> str:
        """Return a picture's placeholder text: each tile with its row and column, then the whole."""
        shown = IMAGE * self.tokens_per_tile
        lines = [
            "".join(f"{AROUND}<row_{row + 1}_col_{column + 1}>{shown}" for column in range(columns)) + "\n"
            for row in range(rows)
        ]
        return "".join(lines) + ("\n" if rows else "") + f"{AROUND}{WHOLE}{shown}{AROUND}"


def _stop_tokens(given: object, tokenizer: Tokenizer) -> frozenset[int]:
    """Return the tokens that end an answer: one or more of generation_config.json, and the end of a turn."""
    stops = {token for token in (given if isinstance(given, list) else [given]) if isinstance(token, int)}
    end = tokenizer.token_to_id(END_OF_TURN)
    return frozenset(stops if end is None else {*stops, end})

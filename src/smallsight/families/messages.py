"""Conversations with pictures and videos: as messages, and as a family's tokens and tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import ArgumentError, InvalidTextError
from smallsight.families.plain_rgb import OpenedImage
from smallsight.policy.valid_text import is_valid_text

ROLES = ("system", "user", "assistant")
TOOL_ROLE = "tool"


class Detail(StrEnum):
    """How much detail of a picture a model gets.

    ``high`` follows the family's reference, which enlarges small pictures. ``auto`` never enlarges: a picture
    gets no more tiles than its pixels fill. ``low`` is one small image of the whole picture.
    """

    HIGH = "high"
    AUTO = "auto"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text of a message; raises InvalidTextError. It is data: nothing in it can act as a control token."""

    text: str

    def __post_init__(self) -> None:
        if not is_valid_text(self.text):
            raise InvalidTextError.of("The text of a message")


@dataclass(frozen=True, slots=True, eq=False)
class PicturePart:
    """A picture in any Pillow mode, or RGB pixels; ``digest`` is the SHA-256 of its file, if known."""

    image: OpenedImage
    digest: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A video frame as the model gets it, uint8 RGB.

    ``time_s`` is a moment at which a player shows it. ``counted_s`` is its number divided by the frame rate,
    which the references tell their models of evenly spaced frames; None means the same.
    """

    pixels_HWC: NDArray[np.uint8]
    time_s: float
    counted_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """The sampled frames of a video, in order."""

    frames: tuple[Frame, ...]
    duration_s: float


@dataclass(frozen=True, slots=True, eq=False)
class VideoPart:
    """A video, for families trained on videos; its frames were sampled for this family."""

    video: Video


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that an answer calls; ``arguments`` is the text of a JSON object."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message with role "system", "user" or "assistant"; raises ArgumentError for any other role.

    Templates insert roles verbatim, so an arbitrary role could act as a control token. An assistant's message
    may have ``tool_calls``; one with role "tool" is the result of the call ``call_id`` of the tool ``name``.
    Only models that know tools receive these.
    """

    role: str
    parts: tuple[TextPart | PicturePart | TiledPart | VideoPart, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.role not in ROLES and (self.role != TOOL_ROLE or self.call_id is None):
            raise ArgumentError(f"Unknown role {self.role!r}.", hint=f"use one of {', '.join(ROLES)}.")


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A square of pixels that the vision tower encodes, uint8; ``digest`` identifies its content.

    A family may store several squares in one tile.
    """

    pixels_HWC: NDArray[np.uint8]
    digest: bytes


@dataclass(frozen=True, slots=True, eq=False)
class TiledPicture:
    """A picture cut into tiles: in reading order, the image of the whole last, and their grid.

    ``size`` is the original (width, height) in pixels.
    """

    tiles: tuple[Tile, ...]
    rows: int
    columns: int
    size: tuple[int, int]

    @property
    def num_bytes(self) -> int:
        """Bytes of the tiles' pixels."""
        return sum(tile.pixels_HWC.nbytes for tile in self.tiles)


@dataclass(frozen=True, slots=True, eq=False)
class TiledPart:
    """A picture already cut into tiles for an earlier question, by the same family."""

    picture: TiledPicture


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPrompt:
    """Tokens for the decoder. Image tokens among them stand for the tiles, in order.

    The first ``prefix_tokens`` attend to one another in both directions. ``shown`` has the number of tiles of
    each picture or video whose end is worth caching for another question.
    """

    token_ids: tuple[int, ...]
    tiles: tuple[Tile, ...]
    prefix_tokens: int = 0
    shown: tuple[int, ...] = ()


def last_question(messages: Sequence[Message], title: str) -> tuple[PicturePart, str]:
    """Return a conversation's only picture and the user's last question, stripped.

    For families that support one picture and no earlier turns; raises ArgumentError for no or more pictures.
    """
    pictures = [part for message in messages for part in message.parts if isinstance(part, PicturePart)]
    if len(pictures) != 1:
        raise ArgumentError(
            f"{title} needs exactly one picture, not {len(pictures)}.",
            hint="ask about each separately.",
        )
    question = [message for message in messages if message.role == "user"][-1]
    text = " ".join(part.text for part in question.parts if isinstance(part, TextPart))
    return pictures[0], text.strip()

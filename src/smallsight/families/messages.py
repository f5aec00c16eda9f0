"""Conversations about pictures and videos, before and after a family has made tokens and tiles of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.errors import ArgumentError

ROLES = ("system", "user", "assistant")


class Detail(StrEnum):
    """How much of a picture a model is shown.

    ``high`` is what the family's reference does, small pictures enlarged. ``auto`` never enlarges: a picture
    gets no more tiles than its own pixels fill. ``low`` is one small image of the whole.
    """

    HIGH = "high"
    AUTO = "auto"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class TextPart:
    """Something written. Its text is data: nothing in it can act as a control token."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class PicturePart:
    """A picture, in any of Pillow's modes; ``digest`` names the file it came from, where it is known."""

    image: Image.Image
    digest: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a video as a model sees it, uint8 RGB; ``time_s`` is when it is shown."""

    pixels_HWC: NDArray[np.uint8]
    time_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """What a model sees of a video: some of its frames, in order."""

    frames: tuple[Frame, ...]
    duration_s: float


@dataclass(frozen=True, slots=True, eq=False)
class VideoPart:
    """A video, for families that were trained on videos; its frames were chosen for this very family."""

    video: Video


@dataclass(frozen=True, slots=True)
class Message:
    """What one side said: role "system", "user" or "assistant"; raises ArgumentError for another.

    Templates write roles out as they come, so one made up by a stranger could act as a control token.
    """

    role: str
    parts: tuple[TextPart | PicturePart | TiledPart | VideoPart, ...]

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ArgumentError(f"{self.role!r} is no role.", hint=f"use one of {', '.join(ROLES)}.")


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A square of pixels that the vision tower sees at once, uint8; ``digest`` names its content.

    A family may make several such squares one value.
    """

    pixels_HWC: NDArray[np.uint8]
    digest: bytes


@dataclass(frozen=True, slots=True, eq=False)
class TiledPicture:
    """A picture as a family sees it: tiles in reading order, the image of the whole last, and their grid.

    ``size`` is the picture's own (width, height).
    """

    tiles: tuple[Tile, ...]
    rows: int
    columns: int
    size: tuple[int, int]

    @property
    def num_bytes(self) -> int:
        """What the tiles take in memory."""
        return sum(tile.pixels_HWC.nbytes for tile in self.tiles)


@dataclass(frozen=True, slots=True, eq=False)
class TiledPart:
    """A picture that was cut into tiles for an earlier question, for the family that cut it."""

    picture: TiledPicture


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPrompt:
    """Tokens for the decoder. Image tokens among them stand for the tiles, in order.

    The first ``prefix_tokens`` see one another, not only what is before them. ``shown`` says how many tiles
    belong to each picture or video, where somebody may ask about them again.
    """

    token_ids: tuple[int, ...]
    tiles: tuple[Tile, ...]
    prefix_tokens: int = 0
    shown: tuple[int, ...] = ()


def last_question(messages: Sequence[Message], title: str) -> tuple[PicturePart, str]:
    """Return the one picture of a conversation, and what the user asked last, without spaces around it.

    For families that see one picture at a time and no earlier turns; raises ArgumentError for more or none.
    """
    pictures = [part for message in messages for part in message.parts if isinstance(part, PicturePart)]
    if len(pictures) != 1:
        raise ArgumentError(
            f"{title} looks at one picture at a time, and was given {len(pictures)}.",
            hint="ask about each separately.",
        )
    asked = [message for message in messages if message.role == "user"][-1]
    text = " ".join(part.text for part in asked.parts if isinstance(part, TextPart))
    return pictures[0], text.strip()

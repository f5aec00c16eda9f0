"""The sentences that a decoding child may pass on to people; any other is replaced by a fixed one.

A child that a picture has taken over can send any text. What it says always goes to the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from smallsight.errors import (
    CorruptPictureError,
    DecoderFailedError,
    PictureError,
    PictureTooLargeError,
    UnsupportedFormatError,
)
from smallsight.policy.log import get_logger

__all__ = ["error_in_reply", "is_known"]

log = get_logger(__name__)

_MAX_CHARS = 300
# Placeholders: N is a number, WORD the name of a format, a codec or a colour space.
_SENTENCES = (
    "The picture has too many pixels (limit N).",
    "The picture has too many pixels: N (limit N).",
    "The picture has too many pixels even at an eighth of its size: N (limit N).",
    "The picture has a side that is too long: N px (limit N).",
    "The picture has a side that is too long for WORD: N px (limit N).",
    "The picture has too many frames: more than N.",
    "The HEIF picture exceeds a limit of libheif.",
    "The WORD data is damaged, truncated or of an unsupported kind.",
    "Pictures in the colour space WORD are not supported.",
    "Video has a side that is too long: N px (limit N).",
    "Video has frames of too many pixels: N (limit N).",
    "Video has too many frames: more than N.",
    "Video is too long: N s (limit N s).",
    "Videos encoded as WORD are not supported.",
    "The WORD file has no video stream.",
    "The WORD video is damaged, truncated or of an unsupported kind.",
    "The video does not state its frame size.",
    "The video has no frames.",
    "None of the video's frames can be decoded.",
)
_HINTS = (
    "raise limits.max_image_pixels or resize the file.",
    "raise limits.max_image_pixels or resize the file; only a JPEG is decoded at a reduced size.",
    "raise limits.max_image_side_px or resize the file.",
    "raise limits.max_image_side_px or make the video smaller.",
    "raise limits.max_frames or cut the animation.",
    "raise limits.max_video_pixels or make the video smaller.",
    "raise limits.max_video_frames or cut the video.",
    "raise limits.max_video_s or cut the video.",
    "no setting raises this limit; save it as PNG or resize it.",
    "no setting raises this limit on this system; save it as JPEG.",
    "open it in another program and save it again, or copy it again.",
    "open it in another program and save it again as MP4, or copy it again.",
    "save the picture as RGB.",
    "save it as MP4 (H.264).",
    "it may contain only sound.",
    "copy it again.",
    "save it again.",
)
_PLACEHOLDERS = {"N": r"[\d.e+]{1,15}", "WORD": r"[A-Za-z0-9_;+.-]{1,32}"}
_REPLACEMENTS: dict[type[PictureError], str] = {
    CorruptPictureError: "The file is damaged, truncated or of an unsupported kind.",
    PictureTooLargeError: "The file is over a limit.",
    UnsupportedFormatError: "Files of this kind are not supported.",
    DecoderFailedError: "The decoder failed on this file.",
}


def error_in_reply(reply: Mapping[str, Any]) -> PictureError:
    """Return the error that a child reported, with text that comes from this module alone."""
    code, message, hint = (_plain(reply.get(name)) for name in ("error", "message", "hint"))
    said = {"code": code, "message": message, "hint": hint, "detail": _plain(reply.get("detail"))}
    kind = next((one for one in _REPLACEMENTS if one.code == code), DecoderFailedError)
    if is_known(message) and (hint is None or hint in _HINTS):
        log.info("decoder_refused", **said)
        return kind(message or _REPLACEMENTS[kind], hint=hint)
    log.warning("decoder_said_something_unknown", **said)
    return kind(_REPLACEMENTS[kind], hint="the log has what the decoder said.")


def is_known(message: str | None) -> bool:
    """Return whether a sentence is one of those above."""
    return message is not None and _PATTERN.fullmatch(message) is not None


def _plain(text: object) -> str | None:
    """Return text from a child as one printable line of bounded length."""
    if text is None:
        return None
    return "".join(character for character in str(text)[:_MAX_CHARS] if character.isprintable())


def _as_pattern(sentence: str) -> str:
    return "".join(_PLACEHOLDERS.get(part, re.escape(part)) for part in re.split(r"\b(N|WORD)\b", sentence))


_PATTERN = re.compile("|".join(map(_as_pattern, _SENTENCES)), re.ASCII)

"""Decoding untrusted pictures: sniffed here, decoded in a disposable child, its answers checked here."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import numpy as np

from smallsight.errors import (
    CorruptPictureError,
    DecoderFailedError,
    MissingDecoderError,
    PictureError,
    PictureTooLargeError,
    UnsupportedFormatError,
)
from smallsight.media.child_process import ChildEndedError, ChildProcess, ChildTimeoutError
from smallsight.media.formats import has_heif, sniff_format
from smallsight.media.perceptual_hash import dhash, phash
from smallsight.media.picture import DecodedPicture
from smallsight.media.wire import HASH_GREY_SIDE_PX, OUT_OF_MEMORY
from smallsight.settings import MIB, Limits

__all__ = ["PictureDecoder"]

_MAX_PICTURES_PER_CHILD = 500
_MAX_CHILD_RSS_BYTES = 256 * MIB
_MAX_THUMBNAIL_BYTES = 16 * MIB
_MAX_MESSAGE_CHARS = 300
_ERRORS_BY_CODE = {
    error.code: error for error in (CorruptPictureError, PictureTooLargeError, UnsupportedFormatError)
}


class PictureDecoder:
    """Decodes pictures one at a time in a child process that is reused, and replaced when it fails or ages.

    Not thread-safe: one decoder per thread, used by the thread that made it.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._child: ChildProcess | None = None
        self._num_decoded_by_child = 0
        self.num_children_started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def child_pid(self) -> int | None:
        """The process id of the running child, None while there is none."""
        return None if self._child is None else self._child.pid

    def close(self) -> None:
        """End the child; a later ``decode`` starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def decode(
        self, data: bytes, *, max_side_px: int | None = None, thumbnail_side_px: int | None = None
    ) -> DecodedPicture:
        """Decode a picture's first frame; pixels and thumbnail only where their longest side is given.

        Raises subclasses of PictureError only.
        """
        picture_format = sniff_format(data)
        if picture_format == "HEIF" and not has_heif():
            raise MissingDecoderError(
                "HEIC pictures need an optional package.", hint="pip install 'smallsight[heif]'."
            )
        request = {
            "format": picture_format,
            "max_image_pixels": self._limits.max_image_pixels,
            "max_image_side_px": self._limits.max_image_side_px,
            "max_frames": self._limits.max_frames,
            "max_side_px": max_side_px,
            "thumbnail_side_px": thumbnail_side_px,
            "timeout_s": self._limits.decode_timeout_s,
        }
        max_image_bytes = 3 * min(max_side_px**2, self._limits.max_image_pixels) if max_side_px else 0
        reply, parts = self._ask_child(request, data, max_image_bytes)
        if "error" in reply:
            raise self._error_told_by_child(reply)
        try:
            return _checked_picture(
                picture_format, reply, parts, self._limits, max_side_px, thumbnail_side_px
            )
        except (KeyError, TypeError, ValueError) as error:
            self._discard_child()
            raise DecoderFailedError("The decoder gave an answer that makes no sense.") from error

    def _ask_child(
        self, request: dict[str, Any], data: bytes, max_image_bytes: int
    ) -> tuple[dict[str, Any], bytearray]:
        child = self._ready_child()
        max_reply_bytes = HASH_GREY_SIDE_PX**2 + max_image_bytes + _MAX_THUMBNAIL_BYTES
        timeout_s = self._limits.decode_timeout_s
        try:
            reply = child.exchange(request, data, timeout_s, max_reply_bytes=max_reply_bytes)
        except ChildTimeoutError as error:
            raise DecoderFailedError(
                f"Decoding took too long (limit {timeout_s:g} s).",
                hint="raise limits.decode_timeout_s or resize the file.",
            ) from error
        except ChildEndedError as error:
            raise DecoderFailedError(
                f"The decoder died on this picture: {error}.",
                hint="the file is damaged or hostile; other pictures are not affected.",
            ) from error
        finally:
            if not child.is_alive():
                self._discard_child()
        self._num_decoded_by_child += 1
        return reply

    def _ready_child(self) -> ChildProcess:
        """Return a living child that is neither old nor swollen."""
        child = self._child
        if child is not None and (
            not child.is_alive()
            or self._num_decoded_by_child >= _MAX_PICTURES_PER_CHILD
            or child.rss_bytes() > _MAX_CHILD_RSS_BYTES
        ):
            self.close()
            child = None
        if child is None:
            child = self._child = ChildProcess(self._limits.decode_memory_bytes)
            self._num_decoded_by_child = 0
            self.num_children_started += 1
        return child

    def _discard_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    def _error_told_by_child(self, reply: dict[str, Any]) -> PictureError:
        if reply["error"] == OUT_OF_MEMORY:
            self._discard_child()
            limit_mib = self._limits.decode_memory_bytes // MIB
            return DecoderFailedError(
                f"Decoding needs too much memory (limit {limit_mib} MiB).",
                hint="raise limits.decode_memory_bytes or resize the file.",
            )
        hint = reply.get("hint")
        kind = _ERRORS_BY_CODE.get(str(reply["error"]), DecoderFailedError)
        return kind(_plain(reply.get("message")), hint=None if hint is None else _plain(hint))


def _checked_picture(
    picture_format: str,
    reply: dict[str, Any],
    parts: bytearray,
    limits: Limits,
    max_side_px: int | None,
    thumbnail_side_px: int | None,
) -> DecodedPicture:
    """Return the child's answer as a value; raises KeyError, TypeError or ValueError when it is not sound."""
    width_px, height_px, num_frames = (int(reply[key]) for key in ("width_px", "height_px", "num_frames"))
    if min(width_px, height_px) < 1 or width_px * height_px > limits.max_image_pixels:
        raise ValueError("size out of bounds")
    if not 0 < num_frames <= limits.max_frames:
        raise ValueError("frames out of bounds")
    grey_bytes, image_bytes, thumbnail_bytes = reply["part_bytes"]
    side = HASH_GREY_SIDE_PX
    if grey_bytes != side * side or grey_bytes + image_bytes + thumbnail_bytes != len(parts):
        raise ValueError("parts of the wrong length")
    hash_grey_HW = np.frombuffer(parts, np.uint8, grey_bytes).reshape(side, side)
    image_HWC = thumbnail_webp = None
    if max_side_px is not None:
        image_width, image_height = reply["image_size"]
        longest_px = min(max_side_px, max(width_px, height_px))
        if not (1 <= image_width <= longest_px and 1 <= image_height <= longest_px):
            raise ValueError("the image is larger than asked for")
        image_HWC = np.frombuffer(parts, np.uint8, image_bytes, offset=grey_bytes)
        image_HWC = image_HWC.reshape(image_height, image_width, 3)
    if thumbnail_side_px is not None:
        thumbnail_webp = bytes(parts[grey_bytes + image_bytes :])
        if thumbnail_webp[:4] != b"RIFF" or thumbnail_webp[8:12] != b"WEBP":
            raise ValueError("the thumbnail is no WebP")
    return DecodedPicture(
        format=picture_format,
        width_px=width_px,
        height_px=height_px,
        num_frames=num_frames,
        image_HWC=image_HWC,
        thumbnail_webp=thumbnail_webp,
        phash=phash(hash_grey_HW),
        dhash=dhash(hash_grey_HW),
    )


def _plain(text: object) -> str:
    """Return text from the child as one printable line of bounded length."""
    return "".join(character for character in str(text)[:_MAX_MESSAGE_CHARS] if character.isprintable())

"""Decodes untrusted pictures: detects the format, decodes in a disposable child, validates its replies."""

from __future__ import annotations

import time
from itertools import accumulate
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from smallsight.errors import DecoderFailedError, MissingDecoderError, PictureError
from smallsight.media.child_messages import error_in_reply
from smallsight.media.child_process import ChildEndedError, ChildProcess, ChildTimeoutError
from smallsight.media.formats import NEEDS_HEIF, has_heif, sniff_format
from smallsight.media.metadata.blocks import before_pixels
from smallsight.media.metadata.reading import SidecarKind
from smallsight.media.metadata.words import MAX_WORDS_BYTES, FileWords, words_from_json
from smallsight.media.perceptual_hash import dhash, phash
from smallsight.media.picture import DecodedPicture
from smallsight.media.reading_size import MAX_PAGES, MAX_READING_PIXELS
from smallsight.media.video_formats import is_container
from smallsight.media.wire import COLOUR_SIDE, HASH_GREY_SIDE_PX, OUT_OF_MEMORY, VIDEO, ppm_header
from smallsight.settings import MIB, Limits

__all__ = ["PictureDecoder"]

_MAX_PICTURES_PER_CHILD = 500
_MAX_CHILD_RSS_BYTES = 256 * MIB
_MAX_THUMBNAIL_BYTES = 16 * MIB


class PictureDecoder:
    """Decodes pictures one at a time in a reused child process, replaced after a failure or many pictures.

    Not thread-safe: one decoder per thread, used by the thread that created it.
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
        """The process id of the running child, None if there is none."""
        return None if self._child is None else self._child.pid

    def close(self) -> None:
        """End the child; a later ``decode`` starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def decode(
        self,
        data: bytes,
        *,
        max_side_px: int | None = None,
        thumbnail_side_px: int | None = None,
        wants_hashes: bool = False,
        wants_full_size: bool = False,
        wants_pages: bool = False,
    ) -> DecodedPicture:
        """Decode the first frame that shows something; pixels and thumbnail only if their side is given.

        ``wants_full_size`` returns all pixels as well, of a JPEG with more than limits.max_image_pixels those
        of a half, quarter or eighth of its size. ``wants_pages`` returns what is read of it, beside
        ``max_side_px``. Raises only subclasses of PictureError.
        """
        picture_format = sniff_format(data)
        if picture_format == "HEIF" and not has_heif():
            raise MissingDecoderError(NEEDS_HEIF, hint="pip install 'smallsight[heif]'.")
        request = {
            "format": picture_format,
            "max_image_pixels": self._limits.max_image_pixels,
            "max_image_side_px": self._limits.max_image_side_px,
            "max_frames": self._limits.max_frames,
            "max_side_px": max_side_px,
            "thumbnail_side_px": thumbnail_side_px,
            "wants_hashes": wants_hashes,
            "wants_full_size": wants_full_size,
            "wants_pages": wants_pages,
            "timeout_s": self._limits.decode_timeout_s,
        }
        max_image_bytes = 3 * min(max_side_px**2, self._limits.max_image_pixels) if max_side_px else 0
        max_image_bytes += 3 * self._limits.max_image_pixels if wants_full_size else 0
        if wants_pages and max_side_px is not None:
            max_image_bytes += 3 * (MAX_READING_PIXELS + MAX_PAGES * max_side_px**2)
        max_reply_bytes = HASH_GREY_SIDE_PX**2 + max_image_bytes + _MAX_THUMBNAIL_BYTES
        reply, parts = self._ask_child(request, data, max_reply_bytes)
        if "error" in reply:
            raise self._error_in_reply(reply)
        try:
            return _checked_picture(request, reply, parts)
        except (KeyError, TypeError, ValueError) as error:
            self._discard_child()
            raise DecoderFailedError("The decoder returned an invalid reply.") from error

    def read_words(self, data: bytes, kind: SidecarKind | None = None) -> FileWords:
        """Return what the metadata of a picture or video says, or a sidecar of a kind.

        Raises only subclasses of PictureError.
        """
        is_video = kind is None and is_container(data)
        words_of = VIDEO if is_video else kind.value if kind is not None else sniff_format(data)
        if kind is None and not is_video:
            data = before_pixels(data, words_of)  # sending all of a large photo takes longer than the rest
        request = {"words_of": words_of, "now_s": time.time(), "timeout_s": self._limits.decode_timeout_s}
        reply, words = self._ask_child(request, data, MAX_WORDS_BYTES)
        if "error" in reply:
            raise self._error_in_reply(reply)
        try:
            return words_from_json(bytes(words))
        except ValueError as error:
            self._discard_child()
            raise DecoderFailedError("The decoder returned an invalid reply.") from error

    def _ask_child(
        self, request: dict[str, Any], data: bytes, max_reply_bytes: int
    ) -> tuple[dict[str, Any], memoryview]:
        child = self._ready_child()
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
                f"The decoder crashed on this picture: {error}.",
                hint="the file is damaged or malicious; other pictures are not affected.",
            ) from error
        finally:
            if not child.is_alive():
                self._discard_child()
        self._num_decoded_by_child += 1
        return reply

    def _ready_child(self) -> ChildProcess:
        """Return a running child, replacing one that has served many pictures or grown too large."""
        child = self._child
        if child is not None and (
            not child.is_alive()
            or self._num_decoded_by_child >= _MAX_PICTURES_PER_CHILD
            or child.rss_bytes() > _MAX_CHILD_RSS_BYTES
        ):
            self.close()
            child = None
        if child is None:
            child = self._child = ChildProcess(
                self._limits.decode_memory_bytes, must_be_restricted=self._limits.require_sandbox
            )
            self._num_decoded_by_child = 0
            self.num_children_started += 1
        return child

    def _discard_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    def _error_in_reply(self, reply: dict[str, Any]) -> PictureError:
        if reply["error"] == OUT_OF_MEMORY:
            self._discard_child()
            limit_mib = self._limits.decode_memory_bytes // MIB
            return DecoderFailedError(
                f"Decoding needs too much memory (limit {limit_mib} MiB).",
                hint="raise limits.decode_memory_bytes or resize the file.",
            )
        return error_in_reply(reply)


def _checked_picture(
    request: dict[str, Any], reply: dict[str, Any], parts: bytearray | memoryview
) -> DecodedPicture:
    """Return the child's reply as a value; raises KeyError, TypeError or ValueError if it is invalid."""
    width_px, height_px, num_frames = (int(reply[key]) for key in ("width_px", "height_px", "num_frames"))
    whole_width, whole_height = (int(side) for side in reply["whole_size"])
    if not (0 < whole_width <= width_px <= request["max_image_side_px"]):
        raise ValueError("width out of bounds")
    if not (0 < whole_height <= height_px <= request["max_image_side_px"]):
        raise ValueError("height out of bounds")
    if whole_width * whole_height > request["max_image_pixels"]:
        raise ValueError("size out of bounds")
    if not 0 < num_frames <= request["max_frames"]:
        raise ValueError("frames out of bounds")
    grey, image, thumbnail, full_size, *pages = _split(parts, reply["part_bytes"])
    hash_grey_HW = image_HWC = thumbnail_webp = full_size_HWC = colours = None
    if request["wants_hashes"]:
        hash_grey_HW = grey.reshape(HASH_GREY_SIDE_PX, HASH_GREY_SIDE_PX)
    if (max_side_px := request["max_side_px"]) is not None:
        image_width, image_height = reply["image_size"]
        longest_px = min(max_side_px, max(width_px, height_px))
        if not (1 <= image_width <= longest_px and 1 <= image_height <= longest_px):
            raise ValueError("the image is larger than requested")
        image_HWC = _pixels(image, image_width, image_height)
    if request["thumbnail_side_px"] is not None:
        thumbnail_webp = thumbnail.tobytes()
        if thumbnail_webp[:4] != b"RIFF" or thumbnail_webp[8:12] != b"WEBP":
            raise ValueError("the thumbnail is not a WebP")
        colours = bytes.fromhex(reply["colours"])
        if len(colours) != 3 * COLOUR_SIDE**2:
            raise ValueError("colours of the wrong number")
    if request["wants_full_size"]:
        whole_HW = whole_height, whole_width
        is_sent_once = image_HWC is not None and image_HWC.shape[:2] == whole_HW
        full_size_HWC = image_HWC if is_sent_once else _pixels(full_size, whole_width, whole_height)
    return DecodedPicture(
        format=request["format"],
        width_px=width_px,
        height_px=height_px,
        num_frames=num_frames,
        image_HWC=image_HWC,
        thumbnail_webp=thumbnail_webp,
        phash=None if hash_grey_HW is None else phash(hash_grey_HW),
        dhash=None if hash_grey_HW is None else dhash(hash_grey_HW),
        full_size_HWC=full_size_HWC,
        hash_grey_HW=hash_grey_HW,
        colours=colours,
        pages_HWC=_checked_pages(pages, reply["page_sizes"], image_HWC) if request["wants_pages"] else (),
    )


def _checked_pages(
    pages: list[npt.NDArray[np.uint8]],
    sizes: list[tuple[int, int] | None],
    image_HWC: npt.NDArray[np.uint8] | None,
) -> tuple[npt.NDArray[np.uint8], ...]:
    """Return the pages as images; the first is the picture itself where it was sent once."""
    if len(pages) != len(sizes) or not 1 <= len(pages) <= MAX_PAGES or None in sizes[1:]:
        raise ValueError("pages of the wrong number")
    if sizes[0] is None and image_HWC is None:
        raise ValueError("a page without an image")
    first = [image_HWC] if sizes[0] is None and image_HWC is not None else []
    sent = zip(pages[len(first) :], sizes[len(first) :], strict=True)
    return (*first, *(_pixels(page, *size) for page, size in sent if size is not None))


def _pixels(part: npt.NDArray[np.uint8], width_px: int, height_px: int) -> npt.NDArray[np.uint8]:
    """Return the pixels of a PPM file, a view."""
    header = ppm_header((width_px, height_px))
    if part[: len(header)].tobytes() != header:
        raise ValueError("an image without its header")
    return part[len(header) :].reshape(height_px, width_px, 3)


def _split(parts: bytearray | memoryview, part_bytes: list[int]) -> list[npt.NDArray[np.uint8]]:
    """Return the parts of a reply, grey, image, thumbnail, all pixels and pages, as uint8 [bytes] each."""
    if len(part_bytes) < 4 or min(part_bytes) < 0 or sum(part_bytes) != len(parts):
        raise ValueError("parts of the wrong length")
    begins = accumulate(part_bytes, initial=0)
    return [np.frombuffer(parts, np.uint8, count, at) for count, at in zip(part_bytes, begins, strict=False)]

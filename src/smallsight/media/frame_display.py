"""Turns a decoded video frame into the picture that players show: colours, transparency, pixel shape, turn.

``container_frames`` owns the file and its frames. Chromium is the reference for what a file leaves open.
"""

from __future__ import annotations

import struct
from typing import Any

import av
from av.video.reformatter import Colorspace
from PIL import Image

from smallsight.media.coded_colour import CodedColour, coded_colour, to_srgb
from smallsight.media.pixels import to_rgb, turn_upright
from smallsight.media.video_limits import VideoRequest, check_size

__all__ = ["FrameDisplay"]

_UNSPECIFIED = 2  # of the matrix coefficients
_TELEVISION_PRIMARIES = (6, 7)
_HD_HEIGHT_PX = 720
_NEVER_HD = ("vp9", "av1")  # without a tag, browsers take the colours of every size as BT.601
_ALWAYS_TAGGED_601 = "vp8"  # FFmpeg's word for every VP8 video, whose format has no tag
_FIXED_ONE = 1 << 16
_MAX_TILT = 0.02  # of 1: players turn by quarters only, and leave any other angle out
# The display matrix maps x to (a, b) and y to (c, d), with y pointing down; by EXIF orientation.
_TURNS = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}


class FrameDisplay:
    """How the frames of one video stream are shown."""

    def __init__(self, stream: av.VideoStream, request: VideoRequest) -> None:
        self._request = request
        self._codec = stream.codec_context.codec.canonical_name
        self._pixel_aspect = float(stream.sample_aspect_ratio or 1)

    def image(self, frame: av.VideoFrame) -> Image.Image:
        """Return a frame as upright RGB."""
        check_size(frame.width, frame.height, self._request)
        image = self._rgb(frame)
        size = self._stretched(frame.width, frame.height)
        if size != image.size:
            image = image.resize(size, Image.Resampling.BICUBIC)
        return turn_upright(image, _orientation(frame))

    def size_px(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Return the size of ``image(frame)``."""
        size = self._stretched(frame.width, frame.height)
        return size[::-1] if _orientation(frame) >= 5 else size

    def _rgb(self, frame: av.VideoFrame) -> Image.Image:
        matrix = Colorspace.ITU709 if self._is_untagged_hd(frame) else None
        coded = _colour(frame)
        if any(component.is_alpha for component in frame.format.components):
            plane = frame.reformat(format="rgba", src_colorspace=matrix).planes[0]
            size = frame.width, frame.height
            image = Image.frombytes("RGBA", size, bytes(plane), "raw", "RGBA", plane.line_size, 1)
            return to_rgb(image, size, is_full_range=False, coded=coded)
        opaque: Image.Image = frame.to_image(src_colorspace=matrix)  # type: ignore[no-untyped-call]
        return opaque if coded is None else to_srgb(opaque, coded)

    def _is_untagged_hd(self, frame: av.VideoFrame) -> bool:
        is_untagged = frame.colorspace == _UNSPECIFIED or self._codec == _ALWAYS_TAGGED_601
        return is_untagged and frame.height >= _HD_HEIGHT_PX and self._codec not in _NEVER_HD

    def _stretched(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Return the size in square pixels: one side grows, or the other shrinks where limits forbid it."""
        aspect = self._pixel_aspect
        wide = round(width_px * aspect), height_px
        tall = width_px, round(height_px / aspect)
        grown, shrunk = (wide, tall) if aspect >= 1 else (tall, wide)
        is_allowed = (
            max(grown) <= self._request.max_side_px and grown[0] * grown[1] <= self._request.max_pixels
        )
        size = grown if is_allowed else shrunk
        return max(1, size[0]), max(1, size[1])


def _colour(frame: av.VideoFrame) -> CodedColour | None:
    """Return the colour space, None for those of television, which browsers do not tell from sRGB."""
    primaries = int(frame.color_primaries)
    if primaries in _TELEVISION_PRIMARIES:
        primaries = _UNSPECIFIED
    light: Any = frame.side_data.get("CONTENT_LIGHT_LEVEL")
    peak_nits = 0.0
    if light is not None:
        peak_nits = float(struct.unpack_from("=I", bytes(light))[0])
    return coded_colour(primaries, int(frame.color_trc), is_video_like=True, peak_nits=peak_nits)


def _orientation(frame: av.VideoFrame) -> int:
    """Return the EXIF orientation of a frame's display matrix; its ``rotation`` does not tell mirrors."""
    found: Any = frame.side_data.get("DISPLAYMATRIX")
    if found is None:
        return 1
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(found))
    scale_x, scale_y = (abs(complex(*pair)) or _FIXED_ONE for pair in ((a, b), (c, d)))
    exact = a / scale_x, b / scale_x, c / scale_y, d / scale_y
    for matrix, orientation in _TURNS.items():
        if all(abs(one - other) <= _MAX_TILT for one, other in zip(exact, matrix, strict=True)):
            return orientation
    return 1

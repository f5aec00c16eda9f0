"""What a video is and may be at most, and the errors of one that is more, or that makes no sense.

For what decodes videos in the disposable child: ``animation_frames`` and ``container_frames``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from PIL import Image

from smallsight.errors import CorruptPictureError, PictureTooLargeError
from smallsight.media.picture_decoding import DECODER_ERRORS

__all__ = ["VideoFacts", "VideoRequest", "VideoSource", "check_length", "check_size", "sound"]

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """What a video is said to be, and the limits it must keep."""

    format: str
    max_side_px: int
    max_pixels: int
    max_frames: int
    max_duration_s: float


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a video says about itself; the frame rate is the average one."""

    width_px: int
    height_px: int
    num_frames: int
    fps: float
    duration_s: float


class VideoSource(Protocol):
    """An open video. Frames are cheapest in ascending order."""

    @property
    def facts(self) -> VideoFacts:
        """What it is."""
        ...

    def frame(self, index: int) -> Image.Image:
        """Return a frame, upright, as RGB."""
        ...


def sound(video_format: str, work: Callable[[], _Value]) -> _Value:
    """Return what ``work`` returns; what a decoder raises on bytes that make no sense is one error."""
    try:
        return work()
    except DECODER_ERRORS as error:
        raise CorruptPictureError(
            f"The {video_format} video is damaged, cut short, or of a kind that is not read.",
            hint="open it in another program and save it again as MP4, or copy it anew.",
        ) from error


def check_size(width_px: int, height_px: int, request: VideoRequest) -> None:
    """Refuse frames that are too large before one is decoded."""
    if min(width_px, height_px) < 1:
        raise CorruptPictureError("The video does not say how large its frames are.", hint="save it again.")
    if max(width_px, height_px) > request.max_side_px:
        raise PictureTooLargeError(
            f"Video has a side that is too long: {max(width_px, height_px)} px "
            f"(limit {request.max_side_px}).",
            hint="raise limits.max_image_side_px or make the video smaller.",
        )
    if width_px * height_px > request.max_pixels:
        raise PictureTooLargeError(
            f"Video has frames of too many pixels: {width_px * height_px} (limit {request.max_pixels}).",
            hint="raise limits.max_video_pixels or make the video smaller.",
        )


def check_length(num_frames: int, duration_s: float, request: VideoRequest) -> None:
    """Refuse a video that is too long, by frames or by time."""
    if num_frames > request.max_frames:
        raise PictureTooLargeError(
            f"Video has too many frames: more than {request.max_frames}.",
            hint="raise limits.max_video_frames or cut the video.",
        )
    if duration_s > request.max_duration_s:
        raise PictureTooLargeError(
            f"Video is too long: {duration_s:.0f} s (limit {request.max_duration_s:g} s).",
            hint="raise limits.max_video_s or cut the video.",
        )

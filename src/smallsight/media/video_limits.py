"""The properties and limits of a video, and the errors for one that is invalid or exceeds them.

Used by the decoders in the disposable child, ``animation_frames`` and ``container_frames``.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from PIL import Image

from smallsight.errors import CorruptPictureError, PictureTooLargeError
from smallsight.media.decoder_errors import DECODER_ERRORS

__all__ = ["VideoFacts", "VideoRequest", "VideoSource", "check_length", "check_size", "reporting_damage"]

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """The detected format of a video, and the limits it must not exceed."""

    format: str
    max_side_px: int
    max_pixels: int
    max_frames: int
    max_duration_s: float


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """The properties of a video; the size is that of a frame as it is shown, the frame rate the average.

    ``times_s`` are the times at which a player shows the frames, ascending; None for evenly spaced ones,
    where they follow from the rate.
    """

    width_px: int
    height_px: int
    num_frames: int
    fps: float
    duration_s: float
    times_s: Sequence[float] | None = None

    def frame_at(self, moment_s: float) -> int:
        """Return the frame that is on the screen at a moment."""
        if self.times_s is None:
            return max(0, min(int(moment_s * self.fps), self.num_frames - 1))
        return max(0, bisect.bisect_right(self.times_s, moment_s) - 1)


class VideoSource(Protocol):
    """An open video. Frames are cheapest in ascending order."""

    @property
    def facts(self) -> VideoFacts:
        """Its size, number of frames, frame rate and duration."""
        ...

    def frame(self, index: int) -> Image.Image:
        """Return a frame, upright, as RGB."""
        ...

    def time_s(self, index: int) -> float:
        """Return when a player shows the frame, in seconds since the first; frames may be unevenly spaced."""
        ...


def reporting_damage(video_format: str, work: Callable[[], _Value]) -> _Value:
    """Return what ``work`` returns; raises CorruptPictureError for a decoder's errors on invalid bytes."""
    try:
        return work()
    except DECODER_ERRORS as error:
        raise CorruptPictureError(
            f"The {video_format} video is damaged, truncated or of an unsupported kind.",
            hint="open it in another program and save it again as MP4, or copy it again.",
        ) from error


def check_size(width_px: int, height_px: int, request: VideoRequest) -> None:
    """Raise an error for frames that are too large or empty, before one is decoded."""
    if min(width_px, height_px) < 1:
        raise CorruptPictureError("The video does not state its frame size.", hint="save it again.")
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
    """Raise PictureTooLargeError for a video with too many frames or seconds."""
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

"""Decodes the frames of an animated picture (GIF, WebP, APNG, AVIF) with Pillow, in the decoding child."""

from __future__ import annotations

import io
from array import array
from itertools import accumulate

from PIL import Image

from smallsight.media.animation_times import frame_durations_ms
from smallsight.media.apng_canvas import ApngCanvas
from smallsight.media.container_scan import gif_canvas_px, webp_canvas_px
from smallsight.media.file_colour import file_colour
from smallsight.media.gif_canvas import GifCanvas
from smallsight.media.pixels import orientation_of, to_rgb, turn_upright
from smallsight.media.png_chunks import without_needless_chunks
from smallsight.media.video_limits import VideoFacts, VideoRequest, check_length, check_size, reporting_damage

__all__ = ["AnimationFrames"]

_DEFAULT_FRAME_MS = 100
_MAX_UNEVENNESS_MS = 1


class AnimationFrames:
    """An animation; its frame rate is the average, its transparency lies on the ground of each frame."""

    def __init__(self, data: bytes, request: VideoRequest) -> None:
        if request.format in ("GIF", "WEBP"):  # Pillow allocates their canvas while opening
            check_size(*(gif_canvas_px(data) if request.format == "GIF" else webp_canvas_px(data)), request)
        durations_ms = frame_durations_ms(data, request.format, request.max_frames) or [_DEFAULT_FRAME_MS]
        duration_s = sum(durations_ms) / 1000
        check_length(len(durations_ms), duration_s, request)
        self._format = request.format
        self._opened = _opened(data, request)
        check_size(*self._opened.size, request)
        self._orientation = orientation_of(self._opened)
        has_profile = bool(self._opened.info.get("icc_profile"))
        self._coded = file_colour(data, request.format, has_profile=has_profile)
        size = self._opened.size[::-1] if self._orientation >= 5 else self._opened.size
        times_s = None
        if max(durations_ms) - min(durations_ms) > _MAX_UNEVENNESS_MS:
            times_s = array("d", (time_ms / 1000 for time_ms in accumulate(durations_ms[:-1], initial=0)))
        num_frames = len(durations_ms)
        self.facts = VideoFacts(*size, num_frames, num_frames / duration_s, duration_s, times_s)

    def frame(self, index: int) -> Image.Image:
        """Return a frame; the frames before it are decoded first."""
        return reporting_damage(self._format, lambda: self._frame(index))

    def time_s(self, index: int) -> float:
        """Return the time at which browsers show a frame, the first time."""
        return index / self.facts.fps if self.facts.times_s is None else self.facts.times_s[index]

    def _frame(self, index: int) -> Image.Image:
        self._opened.seek(index)
        self._opened.load()
        rgb = to_rgb(
            self._opened,
            self._opened.size,
            is_full_range=self._format == "PNG",
            profile=self._opened.info.get("icc_profile"),
            coded=self._coded,
        )
        return turn_upright(rgb, self._orientation)


def _opened(data: bytes, request: VideoRequest) -> Image.Image:
    if request.format == "GIF":
        return GifCanvas(data, request.max_frames, request.max_pixels)
    if request.format != "PNG":
        return Image.open(io.BytesIO(data), formats=(request.format,))
    data = without_needless_chunks(data)
    with Image.open(io.BytesIO(data), formats=("PNG",)) as opened:
        check_size(*opened.size, request)
    return ApngCanvas(data, request.max_frames)

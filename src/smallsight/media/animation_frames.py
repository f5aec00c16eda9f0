"""Decodes the frames of an animated GIF or WebP with Pillow, in the decoding child."""

from __future__ import annotations

import io

from PIL import Image

from smallsight.media.container_scan import (
    count_gif_frames,
    gif_canvas_px,
    gif_duration_ms,
    webp_canvas_px,
    webp_durations_ms,
)
from smallsight.media.pixels import orientation_of, to_rgb, turn_upright
from smallsight.media.video_limits import VideoFacts, VideoRequest, check_length, check_size, reporting_damage

__all__ = ["AnimationFrames"]

_DEFAULT_FRAME_MS = 100


class AnimationFrames:
    """An animation; its frame rate is the average, its transparency lies on the ground of each frame."""

    def __init__(self, data: bytes, request: VideoRequest) -> None:
        is_gif = request.format == "GIF"
        check_size(*(gif_canvas_px(data) if is_gif else webp_canvas_px(data)), request)
        if is_gif:
            num_frames = max(1, count_gif_frames(data, request.max_frames))
            duration_ms = gif_duration_ms(data, _DEFAULT_FRAME_MS)
        else:
            durations_ms = webp_durations_ms(data, request.max_frames)
            num_frames = max(1, len(durations_ms))
            duration_ms = sum(one or _DEFAULT_FRAME_MS for one in durations_ms)
        duration_s = (duration_ms or _DEFAULT_FRAME_MS) / 1000
        check_length(num_frames, duration_s, request)
        self._format = request.format
        self._opened = Image.open(io.BytesIO(data), formats=(request.format,))
        check_size(*self._opened.size, request)
        width_px, height_px = self._opened.size
        self._orientation = orientation_of(self._opened)
        if self._orientation >= 5:
            width_px, height_px = height_px, width_px
        self.facts = VideoFacts(width_px, height_px, num_frames, num_frames / duration_s, duration_s)

    def frame(self, index: int) -> Image.Image:
        """Return a frame; the frames before it are decoded first."""
        return reporting_damage(self._format, lambda: self._frame(index))

    def time_s(self, index: int) -> float:
        """Return the time by the average duration of the frames."""
        return index / self.facts.fps

    def _frame(self, index: int) -> Image.Image:
        self._opened.seek(index)
        profile = self._opened.info.get("icc_profile")
        rgb = to_rgb(self._opened, self._opened.size, is_full_range=False, profile=profile)
        return turn_upright(rgb, self._orientation)

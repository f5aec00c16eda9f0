"""How SmolVLM2 processes a video: which frames, how they are resized, and the text around them.

Source: transformers 5.x, video_processing_smolvlm and processing_smolvlm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.catalog.checkpoint import read_json_object
from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.families.messages import Video
from smallsight.families.smolvlm.number_words import number_in_words
from smallsight.families.smolvlm.resampling import resize_frame
from smallsight.families.smolvlm.tiling import MAX_SIDE_PX
from smallsight.media.video import VideoFacts

__all__ = ["VideoProcessor", "words_around"]

_MAX_FRAMES = 512
_MAX_FPS = 1000
_INSTANT_S = 0.001  # the end of a video shows nothing
_SKIPPED_S = 1  # at both ends of a long video: titles and fades


class VideoProcessor:
    """Samples and resizes frames according to a checkpoint's configuration.

    Raises BrokenCheckpointError for an incomplete one, ModelNotRunnableError for another resampling filter.
    """

    knows_videos = True

    def __init__(self, described: Mapping[str, Any], path: Path) -> None:
        sampling = described.get("video_sampling")
        sampling = sampling if isinstance(sampling, dict) else {}
        fps = sampling.get("fps", described.get("fps"))
        max_frames = sampling.get("max_frames", described.get("num_frames"))
        # The size for pictures takes precedence over the one for videos, as in the reference.
        longest_px = _edge(described.get("size") or sampling.get("video_size"))
        tile_px = _edge(described.get("max_image_size"))
        if (
            not isinstance(fps, int | float)
            or not 0 < fps < _MAX_FPS
            or not isinstance(max_frames, int)
            or not 0 < max_frames <= _MAX_FRAMES
            or longest_px is None
            or tile_px is None
        ):
            raise BrokenCheckpointError(
                f"{path} lacks valid settings for sampling videos.", hint="fetch it again."
            )
        if described.get("resample", Image.Resampling.LANCZOS) != Image.Resampling.LANCZOS:
            raise ModelNotRunnableError(f"{path} has a resampling filter that is not supported for videos.")
        self._fps: float = fps
        self._max_frames = max_frames
        self._longest_px = min(longest_px, MAX_SIDE_PX)
        self.tile_px = tile_px

    @classmethod
    def find(cls, model_dir: Path) -> VideoProcessor | None:
        """Read the video settings; return None for a model without videos."""
        nested = model_dir / "processor_config.json"
        if nested.exists() and isinstance(described := read_json_object(nested).get("video_processor"), dict):
            samples = described.get("video_sampling") or described.get("num_frames")
            return cls(described, nested) if samples else None
        for name in ("video_preprocessor_config.json", "preprocessor_config.json"):
            path = model_dir / name
            if path.exists() and "video_sampling" in (described := read_json_object(path)):
                return cls(described, path)
        return None

    def choose(self, facts: VideoFacts) -> list[int]:
        """Return the indices of the frames: ``fps`` per second, at most ``max_frames``, evenly spaced."""
        wanted = self._num_wanted(facts)
        first, last = 0, facts.num_frames - 1
        if facts.duration_s - 2 * _SKIPPED_S > self._max_frames * self._fps:
            first = int(_SKIPPED_S * facts.fps)
            last = min(last, int(facts.num_frames - _SKIPPED_S * facts.fps))
        if first >= last:
            first, last = 0, facts.num_frames - 1
        return [int(index) for index in np.unique(np.linspace(first, last, wanted, dtype=int))]

    def moments_s(self, facts: VideoFacts) -> list[float]:
        """Return the moments of the frames that the reference takes of a copy at a constant rate.

        The prompt tells whole seconds: moments a second apart are at their beginning.
        """
        first_s, last_s = 0.0, max(0.0, facts.duration_s - _INSTANT_S)
        if facts.duration_s - 2 * _SKIPPED_S > self._max_frames * self._fps:
            first_s, last_s = float(_SKIPPED_S), last_s - _SKIPPED_S
        moments_s = [float(one) for one in np.linspace(first_s, last_s, self._num_wanted(facts))]
        is_apart = len(moments_s) > 1 and moments_s[1] - moments_s[0] >= 1
        return [float(int(one)) for one in moments_s] if is_apart else moments_s

    def _num_wanted(self, facts: VideoFacts) -> int:
        return max(1, min(round(self._fps * facts.duration_s), self._max_frames))

    def fit(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize a frame to the longest side, then to the vision tower's square, uint8 [tile, tile, 3]."""
        height, width = pixels_HWC.shape[:2]
        resized = resize_frame(pixels_HWC, _longest_side(width, height, self._longest_px))
        return resize_frame(resized, (self.tile_px, self.tile_px))


def words_around(video: Video, shown: Sequence[str]) -> str:
    """Return a video as text: its description, then each frame's time and its text from ``shown``."""
    minutes, seconds = divmod(int(video.duration_s), 60)
    length = f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
    count = number_in_words(len(video.frames))
    pieces = [f"You are provided the following series of {count} frames from a {length} [H:MM:SS] video.\n"]
    for frame, text in zip(video.frames, shown, strict=True):
        minutes, seconds = divmod(int(frame.time_s if frame.counted_s is None else frame.counted_s), 60)
        pieces.append(f"\nFrame from {minutes:02d}:{seconds:02d}:{text}")
    return "".join(pieces) + "\n\n"


def _longest_side(width: int, height: int, longest_px: int) -> tuple[int, int]:
    """Scale the longest side to ``longest_px``, the other in proportion to an even number, at least 1."""
    ratio = width / height
    if width >= height:
        width, height = longest_px, int(longest_px / ratio)
        height += height % 2
    else:
        width, height = int(longest_px * ratio), longest_px
        width += width % 2
    return max(width, 1), max(height, 1)


def _edge(given: object) -> int | None:
    value = given.get("longest_edge") if isinstance(given, dict) else None
    is_size = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 16_384
    return value if is_size else None

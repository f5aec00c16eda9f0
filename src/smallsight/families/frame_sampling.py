"""Which frames of a video a model gets: the protocol for families, and the default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.media.pixels import fit_within
from smallsight.media.video import VideoFacts

__all__ = ["FewFrames", "FrameSampling"]

NUM_FEW = 4


class FrameSampling(Protocol):
    """How a family samples and resizes video frames."""

    @property
    def knows_videos(self) -> bool:
        """Whether the model was trained on videos; otherwise frames are sent as pictures."""
        ...

    def choose(self, facts: VideoFacts) -> list[int]:
        """Return the indices of the sampled frames of an evenly spaced video, ascending, at least one."""
        ...

    def moments_s(self, facts: VideoFacts) -> list[float]:
        """Return when to look at an unevenly spaced video, in seconds, ascending, at least one moment."""
        ...

    def fit(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a frame resized for the model, uint8 [height, width, 3]."""
        ...


@dataclass(frozen=True, slots=True)
class FewFrames:
    """A few frames as pictures: the middle frames of ``num_frames`` equal parts of the video."""

    num_frames: int = NUM_FEW
    max_side_px: int | None = None
    knows_videos: bool = False

    def choose(self, facts: VideoFacts) -> list[int]:
        """Return the middle frame of each part; all frames of a shorter video."""
        parts = min(self.num_frames, facts.num_frames)
        return [(2 * part + 1) * facts.num_frames // (2 * parts) for part in range(parts)]

    def moments_s(self, facts: VideoFacts) -> list[float]:
        """Return the middle of each part where another frame is shown than in the middle before it."""
        if facts.times_s is not None and facts.num_frames <= self.num_frames:
            return list(facts.times_s)
        middles = ((part + 0.5) * facts.duration_s / self.num_frames for part in range(self.num_frames))
        by_frame: dict[int, float] = {}
        for middle_s in middles:
            by_frame.setdefault(facts.frame_at(middle_s), middle_s)
        return list(by_frame.values())

    def fit(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Shrink a frame to ``max_side_px``, if it is larger."""
        if self.max_side_px is None or max(pixels_HWC.shape[:2]) <= self.max_side_px:
            return pixels_HWC
        return np.asarray(fit_within(Image.fromarray(pixels_HWC), self.max_side_px))

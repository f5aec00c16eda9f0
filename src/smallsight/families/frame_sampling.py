"""Which frames of a video a model is shown: the seam that families fill, and what the others do."""

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
    """How a family looks at videos."""

    @property
    def knows_videos(self) -> bool:
        """Whether it was trained on videos; the others see pictures."""
        ...

    def choose(self, facts: VideoFacts) -> list[int]:
        """Return the frames to look at, ascending, at least one."""
        ...

    def fit(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a frame as the model sees it."""
        ...


@dataclass(frozen=True, slots=True)
class FewFrames:
    """A few frames as pictures: the middles of as many equal parts of the video."""

    num_frames: int = NUM_FEW
    max_side_px: int | None = None
    knows_videos: bool = False

    def choose(self, facts: VideoFacts) -> list[int]:
        """Return the middle frame of each part; fewer when there are not as many."""
        parts = min(self.num_frames, facts.num_frames)
        return [(2 * part + 1) * facts.num_frames // (2 * parts) for part in range(parts)]

    def fit(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Shrink a frame that is larger than a picture has to be."""
        if self.max_side_px is None or max(pixels_HWC.shape[:2]) <= self.max_side_px:
            return pixels_HWC
        return np.asarray(fit_within(Image.fromarray(pixels_HWC), self.max_side_px))

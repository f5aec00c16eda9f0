from __future__ import annotations

import numpy as np
import pytest

from smallsight.families.frame_sampling import FewFrames
from smallsight.media.video import VideoFacts


@pytest.mark.parametrize(
    ("num_frames", "wanted", "expected"),
    [
        (100, 4, [12, 37, 62, 87]),
        (100, 1, [50]),
        (1, 4, [0]),
        (3, 4, [0, 1, 2]),
        (4, 4, [0, 1, 2, 3]),
        (2, 1, [1]),
    ],
)
def test_the_middles_of_equal_parts(num_frames: int, wanted: int, expected: list[int]):
    facts = VideoFacts(64, 48, num_frames, 10, num_frames / 10)
    assert FewFrames(wanted).choose(facts) == expected


def test_frames_are_shrunk_but_never_enlarged():
    frame = np.zeros((50, 100, 3), np.uint8)
    assert FewFrames().fit(frame) is frame
    assert FewFrames(max_side_px=100).fit(frame) is frame
    assert FewFrames(max_side_px=40).fit(frame).shape == (20, 40, 3)

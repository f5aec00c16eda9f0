"""Aligning two pictures by their brightness, as far as one may be moved beyond the edges of the other."""

from __future__ import annotations

import numpy as np
import pytest

from smallsight.library.alike.alignment import ComparableImage, compare
from smallsight.library.stages.compare_looks import SIDE_PX

WHOLE = (0.0, 1.0, 0.0, 1.0)
REACH = 0.07  # of a side: the farthest that a part is moved


@pytest.mark.parametrize("length_px", [64, 160, SIDE_PX, 1_000])
@pytest.mark.parametrize("edge", range(4))
def test_what_lies_beyond_an_edge_is_like_the_edge_at_every_size(length_px, edge):
    rng = np.random.default_rng(edge)
    image = rng.integers(0, 256, (length_px * 3 // 4, length_px), np.uint8)
    rect = list(WHOLE)
    rect[edge] += REACH if edge % 2 else -REACH
    sampled = ComparableImage(image).sample(np.array(rect), 48)

    height, width = image.shape
    beyond = np.pad(image, ((height, height), (width, width)), mode="edge")
    inside = [(1 + place) / 3 for place in rect]  # the same part of three times the picture
    assert sampled.shape == (48, 48)
    assert sampled == pytest.approx(ComparableImage(beyond).sample(np.array(inside), 48), abs=0.5)


@pytest.mark.parametrize("shift_px", [-60, 20, 60])
@pytest.mark.parametrize("turns", range(4))
def test_a_picture_that_is_moved_far_beyond_an_edge_is_compared(shift_px, turns):
    places = np.arange(SIDE_PX) / SIDE_PX
    first, second = (
        np.rot90(np.repeat((128 + 100 * np.sin(2.2 * one)).astype(np.uint8)[None], 240, axis=0), turns)
        for one in (places, places + shift_px / SIDE_PX)
    )
    found = compare(ComparableImage(first), ComparableImage(second), WHOLE)
    assert found.correlation > 0.5
    assert found.overlap != WHOLE

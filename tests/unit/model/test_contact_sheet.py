from __future__ import annotations

import numpy as np
import pytest

from smallsight.families.messages import Frame, Video
from smallsight.model.contact_sheet import contact_sheet


def video(num_frames: int, side_px: int = 40) -> Video:
    frames = [np.full((side_px, side_px, 3), 20 * index + 30, np.uint8) for index in range(num_frames)]
    return Video(tuple(Frame(one, 0.5 * index) for index, one in enumerate(frames)), num_frames / 2)


@pytest.mark.parametrize(("num_frames", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (5, 3, 2), (9, 3, 3)])
def test_frames_stand_in_reading_order(num_frames: int, columns: int, rows: int):
    sheet = np.asarray(contact_sheet(video(num_frames)))
    assert sheet.shape == (rows * (40 + 22 + 6) + 6, columns * (40 + 6) + 6, 3)
    for index in range(num_frames):
        row, column = divmod(index, columns)
        middle = sheet[6 + row * 68 + 22 + 20, 6 + column * 46 + 20]
        assert middle.tolist() == [20 * index + 30] * 3


def test_each_has_a_time_above_it_and_large_ones_are_shrunk():
    sheet = np.asarray(contact_sheet(video(2, 1000)))
    assert sheet.shape[1] == 2 * (256 + 6) + 6
    for left in (6, 268):
        assert sheet[6:28, left : left + 60].min() < 128

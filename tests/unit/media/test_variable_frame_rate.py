"""Recordings whose frames are unevenly spaced: people get the file's times, models those of the reference.

openmpf#1313, decord#26. transformers 5.24 divides the frame's number by the average rate.
"""

from __future__ import annotations

import io
from fractions import Fraction

import av
import pytest

from clips import noise_frames
from smallsight.families.frame_sampling import FewFrames
from smallsight.media.video import VideoReader
from smallsight.model.shown_parts import open_video
from smallsight.settings import Limits

TIMES_MS = (0, 10, 20, 5_000, 5_010, 60_000)


def recording(container: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as opened:
        stream = opened.add_stream("mpeg4" if container == "mp4" else "libvpx", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, pixels in enumerate(noise_frames(len(TIMES_MS), 64, 48, 0)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = TIMES_MS[number], Fraction(1, 1000)
            opened.mux(stream.encode(frame))
        opened.mux(stream.encode())
    return buffer.getvalue()


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_frames_have_the_times_at_which_players_show_them(container):
    with VideoReader(recording(container), Limits()) as reader:
        times_s = [time_s for _, time_s in reader.timed_frames(range(reader.facts.num_frames))]
    assert times_s == pytest.approx([one / 1000 for one in TIMES_MS], abs=0.002)


def test_people_and_models_get_their_own_times():
    video = open_video(recording("mp4"), FewFrames(6), Limits())
    assert [frame.time_s for frame in video.frames] == pytest.approx([one / 1000 for one in TIMES_MS])
    assert [frame.counted_s for frame in video.frames] == pytest.approx([0, 12, 24, 36, 48, 60])

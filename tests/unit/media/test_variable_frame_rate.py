"""Recordings whose frames are unevenly spaced are looked at by the clock.

openmpf#1313, decord#26, screen recorders and MediaRecorder. transformers 5.24 chooses by number, and divides
the number by the average rate. Where that rate is the rate of all frames, so do we.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clips import encoded, noise_frames
from smallsight.families.frame_sampling import FewFrames
from smallsight.families.smolvlm.video_processor import VideoProcessor, words_around
from smallsight.media.video import VideoReader
from smallsight.model.shown_parts import open_video
from smallsight.settings import Limits

TIMES_MS = (0, 10, 20, 5_000, 5_010, 60_000)
CODECS = {"mp4": "libx264", "matroska": "libx264", "webm": "libvpx-vp9", "mov": "mpeg4", "mpegts": "libx264"}
SMOLVLM2 = VideoProcessor(
    {
        "video_sampling": {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": 512}},
        "max_image_size": {"longest_edge": 32},
        "size": {"longest_edge": 64},
    },
    Path("preprocessor_config.json"),
)


def recording(container: str) -> bytes:
    frames = noise_frames(len(TIMES_MS), 64, 48, 0)
    codec = "mpeg4" if container == "mp4" else "libvpx"
    return encoded(frames, container, codec, times_ms=TIMES_MS, rate=30)


def shade_at(time_s: float) -> int:
    """What is on the screen: the shade changes every ten seconds, and the lively part is black."""
    return int(time_s // 10) * 40 % 256


def screen_recording(container: str, until_s: int = 60, codec: str | None = None) -> bytes:
    """Thirty frames a second for two seconds, then one every ten seconds, and two at the end."""
    end_ms = until_s * 1000
    times_ms = [*range(0, 2_000, 33), *range(10_000, end_ms, 10_000), end_ms - 66, end_ms - 33]
    frames = [np.full((48, 64, 3), shade_at(time_ms / 1000), np.uint8) for time_ms in times_ms]
    return encoded(frames, container, codec or CODECS[container], times_ms=times_ms, rate=30)


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_frames_have_the_times_at_which_players_show_them(container):
    with VideoReader(recording(container), Limits()) as reader:
        times_s = [time_s for _, time_s in reader.timed_frames(range(reader.facts.num_frames))]
        assert list(reader.facts.times_s) == times_s
    assert times_s == pytest.approx([one / 1000 for one in TIMES_MS], abs=0.002)


def test_all_frames_of_a_short_recording_have_their_times():
    video = open_video(recording("mp4"), FewFrames(6), Limits())
    assert [frame.time_s for frame in video.frames] == pytest.approx([one / 1000 for one in TIMES_MS])


@pytest.mark.parametrize("container", CODECS)
def test_four_frames_are_from_the_middle_of_each_quarter(container):
    video = open_video(screen_recording(container), FewFrames(4), Limits())
    assert video.duration_s == pytest.approx(60, abs=1)
    assert [frame.time_s for frame in video.frames] == pytest.approx([7.5, 22.5, 37.5, 52.5], abs=1)
    for frame, expected in zip(video.frames, (0, 80, 120, 200), strict=True):
        assert abs(int(frame.pixels_HWC[20, 30, 0]) - expected) <= 3


@pytest.mark.parametrize("container", CODECS)
def test_a_model_is_shown_what_was_on_the_screen_at_each_time_it_is_told(container):
    video = open_video(screen_recording(container), SMOLVLM2, Limits())
    told = words_around(video, [f"<{int(frame.pixels_HWC.mean())}>" for frame in video.frames])
    lines = [line.split(":") for line in told.splitlines() if line.startswith("Frame from ")]
    assert 60 <= len(lines) <= 61
    for minutes, seconds, shade in lines:
        told_s = int(minutes.removeprefix("Frame from ")) * 60 + int(seconds)
        assert abs(int(shade.strip("<>")) - shade_at(min(told_s, 59))) <= 3, f"at {told_s} s"


def test_the_prompt_is_that_of_the_same_recording_at_a_constant_rate():
    constant = encoded(
        [np.full((48, 64, 3), shade_at(number / 10), np.uint8) for number in range(600)], rate=10
    )
    told = []
    for data in (screen_recording("mp4", codec="mpeg4"), constant):
        video = open_video(data, SMOLVLM2, Limits())
        told.append(
            words_around(video, [f"<{round(frame.pixels_HWC.mean() / 10)}>" for frame in video.frames])
        )
    assert told[0] == told[1]


def test_a_recording_longer_than_the_model_looks_at():
    video = open_video(screen_recording("mp4", 250, "mpeg4"), SMOLVLM2, Limits())
    times_s = [frame.time_s for frame in video.frames]
    assert (len(times_s), times_s[0]) == (64, 1)
    assert 248 <= times_s[-1] <= 249
    for frame in video.frames:
        assert abs(frame.pixels_HWC.mean() - shade_at(frame.time_s)) <= 3


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_a_still_end_counts(container):
    """Two lively seconds, and a last frame that stays for a minute: the file says so."""
    shades = [number * 4 for number in range(20)]
    frames = [np.full((48, 64, 3), shade, np.uint8) for shade in shades]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as opened:
        stream = opened.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.max_b_frames = 0
        packets = []
        for pixels in frames:
            packets += stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
        packets += stream.encode()
        packets[-1].duration = int(60 / packets[-1].time_base)
        opened.mux(packets)
    video = open_video(buffer.getvalue(), FewFrames(4), Limits())
    assert video.duration_s == pytest.approx(62, abs=0.2)
    assert [round(float(frame.pixels_HWC.mean())) for frame in video.frames] == pytest.approx([76], abs=2)
    video = open_video(buffer.getvalue(), SMOLVLM2, Limits())
    assert video.frames[1].pixels_HWC.mean() == pytest.approx(40, abs=2)  # at one second
    assert {round(frame.pixels_HWC.mean() / 10) for frame in video.frames[2:]} == {8}


def test_frames_that_share_a_timestamp_do_not_undo_the_clock():
    times_ms = [0, 100, 100, 200, *range(20_000, 60_001, 10_000)]
    frames = [np.full((48, 64, 3), shade_at(one / 1000), np.uint8) for one in times_ms]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as opened:
        stream = opened.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for pixels, at in zip(frames, times_ms, strict=True):
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                packet.time_base = Fraction(1, 1000)
                packet.pts = packet.dts = at
                opened.mux(packet)
    video = open_video(buffer.getvalue(), FewFrames(4), Limits())
    assert [frame.time_s for frame in video.frames] == pytest.approx([7.5, 22.5, 37.5, 52.5], abs=0.2)
    for frame in video.frames:
        expected = 0 if frame.time_s < 20 else shade_at(frame.time_s)
        assert abs(float(frame.pixels_HWC.mean()) - expected) <= 3


def beside_sound(container: str, late_s: float) -> bytes:
    """Six seconds, a shade each, beside nine seconds of silence; the first frame comes late."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as opened:
        stream = opened.add_stream("libvpx" if container == "webm" else "mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = opened.add_stream("libopus" if container == "webm" else "aac", rate=48_000)
        for number in range(60):
            shade = np.full((48, 64, 3), number // 10 * 40, np.uint8)
            frame = av.VideoFrame.from_ndarray(shade, format="rgb24")
            frame.pts, frame.time_base = number + round(late_s * 10), Fraction(1, 10)
            opened.mux(stream.encode(frame))
        for start in range(0, 9 * 48_000, 960):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), format="fltp", layout="mono")
            silence.rate, silence.pts, silence.time_base = 48_000, start, Fraction(1, 48_000)
            opened.mux(sound.encode(silence))
        opened.mux(stream.encode())
        opened.mux(sound.encode())
    return buffer.getvalue()


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_frames_that_begin_after_the_sound(browser, container):
    data = beside_sound(container, 2.0)
    with VideoReader(data, Limits()) as reader:
        assert reader.facts.times_s[0] == pytest.approx(2, abs=0.05)
        assert reader.facts.times_s[-1] == pytest.approx(7.9, abs=0.05)
        assert reader.facts.duration_s == pytest.approx(9 if container == "webm" else 8, abs=0.1)
    video = open_video(data, SMOLVLM2, Limits())
    for frame in video.frames:
        shade = 40 * min(5, max(0, int(frame.time_s - 2)))
        assert abs(frame.pixels_HWC.mean() - shade) <= 4, frame.time_s
    if container == "webm":  # MPEG-4 is no codec of browsers
        for frame in video.frames[3:8]:
            shown = browser.video(data, "video/webm", frame.time_s + 0.05)
            assert abs(int(shown[20, 30, 0]) - float(frame.pixels_HWC.mean())) <= 4


def test_sound_that_begins_a_little_earlier_changes_nothing():
    with VideoReader(beside_sound("mp4", 0.1), Limits()) as reader:
        assert reader.facts.times_s is None
        assert (reader.facts.num_frames, reader.facts.fps, reader.facts.duration_s) == (60, 10.0, 6.0)


def test_what_the_browser_shows_at_the_told_times(browser):
    data = screen_recording("webm")
    video = open_video(data, FewFrames(4), Limits())
    for frame in video.frames:
        shown = browser.video(data, "video/webm", frame.time_s)
        assert abs(int(shown[20, 30, 0]) - int(frame.pixels_HWC[20, 30, 0])) <= 3

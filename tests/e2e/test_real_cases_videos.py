"""Valid videos of kinds that other software stumbled on: every frame, in the size and shade that were drawn.

PyAV#570, datachain#1823, openmpf#1313; ``docs/real-world-log.md`` has the table.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clips import encoded, with_matrix
from smallsight.errors import SmallsightError
from smallsight.media.video import VideoReader
from smallsight.settings import Limits

NUM_FRAMES = 12
WIDTH, HEIGHT = 96, 64


def shades(num_frames: int = NUM_FRAMES, width: int = WIDTH, height: int = HEIGHT) -> list[np.ndarray]:
    """Frame after frame lighter, with a bright band at the top."""
    frames = []
    for number in range(num_frames):
        frame = np.full((height, width, 3), 20 + 15 * number, np.uint8)
        frame[: height // 4] = 255
        frames.append(frame)
    return frames


def made(*arguments: Any, **options: Any) -> bytes:
    frames = options.pop("frames", None) or shades()
    return encoded(frames, *arguments, **options)


VIDEOS: dict[str, tuple[bytes, int, tuple[int, int]]] = {
    "MPEG-4 in MP4": (made("mp4", "mpeg4"), NUM_FRAMES, (WIDTH, HEIGHT)),
    "turned by 90 degrees": (
        with_matrix(made("mp4", "mpeg4"), 0, 1, -1, 0),
        NUM_FRAMES,
        (HEIGHT, WIDTH),
    ),
    "live WebM without a duration": (
        made("webm", "libvpx", options={"live": "1"}),
        NUM_FRAMES,
        (WIDTH, HEIGHT),
    ),
    "one frame": (made("mp4", "mpeg4", frames=shades(1)), 1, (WIDTH, HEIGHT)),
    "Motion JPEG in AVI": (made("avi", "mjpeg", "yuvj420p"), NUM_FRAMES, (WIDTH, HEIGHT)),
    "H.264": (made("mp4", "libx264"), NUM_FRAMES, (WIDTH, HEIGHT)),
    "H.264 of 10 bits": (made("matroska", "libx264", "yuv420p10le"), NUM_FRAMES, (WIDTH, HEIGHT)),
    "H.264 with all colours": (made("mp4", "libx264", "yuv444p"), NUM_FRAMES, (WIDTH, HEIGHT)),
    "MPEG-2": (made("mpeg", "mpeg2video", rate=25), NUM_FRAMES, (WIDTH, HEIGHT)),
    "MPEG-2 in a transport stream": (made("mpegts", "mpeg2video", rate=25), NUM_FRAMES, (WIDTH, HEIGHT)),
    "a start before zero": (
        made("matroska", "libx264", times_ms=[100 * number - 500 for number in range(NUM_FRAMES)]),
        NUM_FRAMES,
        (WIDTH, HEIGHT),
    ),
    "a narrow one": (made("mp4", "libx264", frames=shades(5, 32, 240)), 5, (32, 240)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", VIDEOS)
def test_every_frame_is_there_in_its_size_and_shade(name: str):
    data, num_frames, size = VIDEOS[name]
    with VideoReader(data, Limits()) as reader:
        assert reader.facts.num_frames == num_frames
        frames = list(reader.timed_frames(range(num_frames)))
    times_s = [time_s for _, time_s in frames]
    assert times_s == sorted(times_s)
    assert times_s[0] == 0
    for number, (pixels, _) in enumerate(frames):
        assert pixels.shape == (size[1], size[0], 3)
        assert abs(int(np.median(pixels)) - (20 + 15 * number)) <= 12


@pytest.mark.slow
def test_a_fragmented_mp4(tmp_path: Path):
    path = tmp_path / "live.mp4"
    with av.open(str(path), "w", options={"movflags": "frag_keyframe+empty_moov"}) as opened:
        stream = opened.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in shades():
            opened.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        opened.mux(stream.encode())
    with VideoReader(path.read_bytes(), Limits()) as reader:
        assert reader.facts.num_frames == NUM_FRAMES


@pytest.mark.slow
@pytest.mark.parametrize("has_empty_picture", [False, True])
def test_sound_without_a_picture_is_a_sentence(has_empty_picture: bool):
    stream = io.BytesIO()
    with av.open(stream, "w", format="matroska") as opened:
        if has_empty_picture:
            video = opened.add_stream("mpeg4", rate=10)
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = opened.add_stream("aac", rate=44_100, layout="mono")
        for number in range(20):
            samples = np.random.default_rng(number).integers(-999, 999, (1, 1024)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 44_100, number * 1024
            opened.mux(audio.encode(frame))
        opened.mux(audio.encode())
    with pytest.raises(SmallsightError) as caught, VideoReader(stream.getvalue(), Limits()):
        pass
    assert "0x" not in caught.value.message
    assert caught.value.message.endswith(".")

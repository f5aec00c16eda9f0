from __future__ import annotations

import contextlib
import io
import pickle
import random
import subprocess
import sys
import threading
from fractions import Fraction

import av
import numpy as np
import psutil
import pytest
from PIL import Image

from clips import animation, clip, noise_frames
from smallsight.errors import (
    CorruptPictureError,
    DecoderFailedError,
    PictureError,
    PictureTooLargeError,
    UnsupportedFormatError,
)
from smallsight.media.child_process import ChildStop
from smallsight.media.video import VideoReader
from smallsight.media.video_decoding import open_video
from smallsight.media.video_formats import sniff_video
from smallsight.media.video_limits import VideoRequest
from smallsight.settings import MIB, Limits

LIMITS = Limits()
KINDS = {
    "mp4": ("mp4", "mpeg4"),
    "mp4, frames out of order": ("mp4", "libx264"),
    "mov": ("mov", "libx264"),
    "webm": ("webm", "libvpx-vp9"),
    "matroska": ("matroska", "libx264"),
    "avi": ("avi", "mpeg4"),
    "transport stream": ("mpegts", "mpeg2video"),
    "mpeg": ("mpeg", "mpeg2video"),
    "flash": ("flv", "flv"),
    "ogg": ("ogg", "libvpx"),
    "old phone": ("3gp", "mpeg4"),
}


def all_frames(data: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(data)) as opened:
        return [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]


def video_request(data: bytes) -> VideoRequest:
    return VideoRequest(sniff_video(data), 4096, LIMITS.max_video_pixels, LIMITS.max_video_frames, 3600.0)


def read(data: bytes, indices: list[int], limits: Limits = LIMITS) -> list[np.ndarray]:
    with VideoReader(data, limits) as reader:
        return list(reader.frames(indices))


INDICES = [0, 1, 13, 14, 30, 31, 49]
ORDERS = (INDICES, INDICES[::-1], [7, 7])


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("kind", KINDS)
def test_any_frame_is_the_one_that_decoding_all_gives(kind: str):
    container, codec = KINDS[kind]
    data = clip(50, fps=25, container=container, codec=codec)
    expected = all_frames(data)
    with VideoReader(data, LIMITS) as reader:
        assert (reader.facts.width_px, reader.facts.height_px) == (64, 48)
        assert (reader.facts.num_frames, reader.facts.fps, reader.facts.duration_s) == (50, 25.0, 2.0)
        for order in ORDERS:
            for index, frame in zip(order, reader.frames(order), strict=True):
                np.testing.assert_array_equal(frame, expected[index], err_msg=f"{index} of {order}")


@pytest.mark.mostly_slow(6)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gop", [1, 100])
def test_any_frame_is_right_however_far_apart_whole_ones_are(kind: str, gop: int):
    """Without the child: it does the same with every video."""
    container, codec = KINDS[kind]
    data = clip(50, fps=25, container=container, codec=codec, gop=gop)
    expected = all_frames(data)
    source = open_video(data, video_request(data))
    facts = source.facts
    assert (facts.num_frames, facts.fps, facts.duration_s) == (50, 25.0, 2.0)
    for order in ORDERS:
        for index in order:
            np.testing.assert_array_equal(
                np.asarray(source.frame(index)), expected[index], err_msg=f"{index} of {order}"
            )


@pytest.mark.parametrize("picture_format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_frames_of_animations(picture_format: str):
    data = animation(6, 40, 30, 250, picture_format)
    with VideoReader(data, LIMITS) as reader:
        assert (reader.facts.num_frames, reader.facts.fps, reader.facts.duration_s) == (6, 4.0, 1.5)
        frames = list(reader.frames([0, 2, 5, 1]))
    drawn = noise_frames(6, 40, 30)
    for frame, index in zip(frames, [0, 2, 5, 1], strict=True):
        assert np.abs(frame[10, 10].astype(int) - drawn[index][10, 10]).max() <= 4  # a GIF has 256 colours


def test_a_frame_that_is_shown_for_no_time_counts_as_browsers_count_it():
    with VideoReader(animation(4, frame_ms=0), LIMITS) as reader:
        assert reader.facts.duration_s == pytest.approx(0.4)


def test_transparency_lies_on_white():
    images = [Image.new("RGBA", (8, 8), (level, 0, 0, 0)) for level in (10, 20)]
    buffer = io.BytesIO()
    images[0].save(buffer, "WEBP", save_all=True, append_images=images[1:], duration=100, lossless=True)
    assert read(buffer.getvalue(), [1])[0].min() == 255


@pytest.mark.parametrize("fps", [1, 1000, Fraction(1, 3), Fraction(30000, 1001)])
def test_rates(fps: Fraction):
    with VideoReader(clip(5, fps=fps), LIMITS) as reader:
        assert reader.facts.fps == float(fps)
        assert reader.facts.duration_s == float(5 / Fraction(fps))


@pytest.mark.parametrize(
    ("container", "codec"), [("mp4", "libx264"), ("matroska", "libx264"), ("webm", "libvpx-vp9")]
)
@pytest.mark.parametrize("start_ms", [0, 700])
def test_a_changing_rate_is_its_average_whatever_the_file_says(container: str, codec: str, start_ms: int):
    milliseconds = Fraction(1, 1000)
    gaps_ms = np.random.default_rng(1).integers(10, 200, 60)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as opened:
        stream = opened.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = milliseconds
        for drawn, shown_at in zip(noise_frames(60, 64, 48), np.cumsum(gaps_ms) + start_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(drawn, format="rgb24")
            frame.pts, frame.time_base = int(shown_at), milliseconds
            opened.mux(stream.encode(frame))
        opened.mux(stream.encode())
    data = buffer.getvalue()
    expected = all_frames(data)
    with VideoReader(data, LIMITS) as reader:
        assert reader.facts.num_frames == 60
        assert reader.facts.fps == pytest.approx(1000 / gaps_ms[1:].mean(), rel=0.05)
        for index, frame in zip([0, 7, 31, 59], reader.frames([0, 7, 31, 59]), strict=True):
            np.testing.assert_array_equal(frame, expected[index])


def test_pictures_turned_by_their_recorder_are_upright():
    upright = clip(3, 64, 48)
    turned = bytearray(upright)
    # The track header's matrix, a quarter turn: [a, b, u, c, d, v, x, y, w] in fixed point.
    matrix = turned.index(b"tkhd") + 4 + 4 + 20 + 16
    quarter = b"".join(
        value.to_bytes(4, "big", signed=True) for value in (0, 65536, 0, -65536, 0, 0, 48 << 16, 0, 1 << 30)
    )
    turned[matrix : matrix + 36] = quarter
    before, after = read(upright, [0])[0], read(bytes(turned), [0])[0]
    np.testing.assert_array_equal(np.rot90(before, -1), after)


@pytest.mark.parametrize(
    ("limit", "data", "words"),
    [
        ({"max_video_pixels": 3000}, clip(3, 64, 48), "too many pixels: 3072"),
        ({"max_image_side_px": 60}, clip(3, 64, 48), "too long: 64 px"),
        ({"max_video_frames": 20}, clip(21), "more than 20"),
        ({"max_video_s": 2.0}, clip(30, fps=10), "too long: 3 s"),
        ({"max_frames": 4}, animation(5), "more than 4"),
        ({"max_frames": 4}, animation(5, picture_format="WEBP"), "more than 4"),
        ({"max_frames": 4}, animation(5, picture_format="PNG"), "more than 4"),
        ({"max_frames": 4}, animation(5, picture_format="AVIF"), "more than 4"),
        ({"max_video_pixels": 1000}, animation(2), "too many pixels"),
        ({"max_video_s": 1.0}, animation(5, frame_ms=300), "too long"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value),  # an AVIF has the time in it
)
def test_limits_say_what_was_too_much(limit: dict[str, float], data: bytes, words: str):
    with pytest.raises(PictureTooLargeError, match=words) as caught:
        VideoReader(data, Limits(**limit))
    assert "hint: raise limits." in str(caught.value)


def test_time_is_bounded():
    with pytest.raises(DecoderFailedError, match="too long"):
        read(clip(200, 320, 240), list(range(200)), Limits(video_timeout_s=0.05))


def test_memory_is_bounded():
    limits = Limits(decode_memory_bytes=512 * MIB)
    with pytest.raises(PictureError):
        read(clip(2, 4000, 4000), [0, 1], limits.model_copy(update={"decode_memory_bytes": 300 * MIB}))


def damaged() -> dict[str, bytes]:
    whole = clip(40, codec="libx264", container="matroska")
    holes = bytearray(whole)
    holes[len(holes) // 3 : len(holes) // 2] = bytes(len(holes) // 2 - len(holes) // 3)
    return {
        "cut in the index": clip(30)[:-200],
        "beginning only": clip(30)[:40],
        "nothing behind the signature": b"\x1aE\xdf\xa3" + bytes(100),
        "noise behind the signature": b"\x1aE\xdf\xa3" + bytes(range(256)) * 20,
        "holes": bytes(holes),
        "cut": whole[: len(whole) // 2],
        "gif": animation(5)[:100],
        "webp": animation(5, picture_format="WEBP")[:100],
    }


@pytest.mark.parametrize("name", damaged())
def test_damage_is_a_sentence_or_what_can_be_read(name: str):
    data = damaged()[name]
    try:
        with VideoReader(data, LIMITS) as reader:
            for frame in reader.frames([0, reader.facts.num_frames - 1]):
                assert frame.size
    except PictureError as error:
        told = str(error)
    else:
        told = "hint: none is needed"
    assert "hint:" in told


OPEN_ALL = """
import os, pickle, sys
import av
from smallsight.errors import CorruptPictureError, PictureTooLargeError, UnsupportedFormatError
from smallsight.media.picture_decoding import prepare_pillow
from smallsight.media.sandbox import lock_down
from smallsight.media.video_decoding import open_video
from smallsight.media.video_formats import ANIMATIONS, sniff_video
from smallsight.media.video_limits import VideoRequest
from smallsight.settings import Limits

limits = Limits()
av.logging.set_level(None)
prepare_pillow()
changed = pickle.load(sys.stdin.buffer)
lock_down(limits.decode_memory_bytes, os.getppid())
num_read = 0
for data in changed:
    try:
        kind = sniff_video(data)
        frames = limits.max_frames if kind in ANIMATIONS else limits.max_video_frames
        request = VideoRequest(
            kind, limits.max_image_side_px, limits.max_video_pixels, frames, limits.max_video_s
        )
        open_video(data, request).frame(0)
        num_read += 1
    except (CorruptPictureError, PictureTooLargeError, UnsupportedFormatError):
        pass
print(num_read)
"""


def test_no_change_of_bytes_is_more_than_a_sentence():
    rng = random.Random(0)
    whole = [
        clip(20),
        clip(20, codec="libx264"),
        clip(20, container="webm", codec="libvpx-vp9"),
        clip(20, fps=25, container="mpegts", codec="mpeg2video"),
        animation(5),
        animation(5, picture_format="WEBP"),
        animation(5, picture_format="PNG"),
        animation(5, picture_format="AVIF"),
        clip(5, container="webm", codec="libvpx-vp9", alpha=True),
    ]
    changed: list[bytes] = []
    for _ in range(180):
        data = bytearray(rng.choice(whole))
        for _ in range(rng.choice([1, 5, 50])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        changed.append(bytes(data))
    for data in changed[:5]:
        with contextlib.suppress(CorruptPictureError, UnsupportedFormatError, PictureTooLargeError):
            read(data, [0])
    # All in one process: a crash, or another exception, ends it.
    run = subprocess.run(
        [sys.executable, "-c", OPEN_ALL], input=pickle.dumps(changed), capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr.decode()
    assert 10 < int(run.stdout) < len(changed), "nothing was damaged, or nothing was left to read"


def test_sound_in_a_video_container_is_no_video():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as opened:
        stream = opened.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        opened.mux(stream.encode(frame))
    with pytest.raises(UnsupportedFormatError, match="no video stream"):
        VideoReader(buffer.getvalue(), LIMITS)


def test_codecs_of_nobody_are_not_opened():
    with pytest.raises(UnsupportedFormatError, match="ffv1"):
        VideoReader(clip(2, container="avi", codec="ffv1"), LIMITS)


def test_the_child_ends_with_the_block():
    before = {child.pid for child in psutil.Process().children()}
    with VideoReader(clip(3), LIMITS) as reader:
        (pid,) = {child.pid for child in psutil.Process().children()} - before
        assert next(iter(reader.frames([0]))).shape == (48, 64, 3)
    assert not psutil.pid_exists(pid)
    with pytest.raises(CorruptPictureError):
        VideoReader(clip(3)[:60], LIMITS)
    assert {child.pid for child in psutil.Process().children()} <= before


def test_another_thread_may_stop_it_before_and_while_it_is_read():
    before = {child.pid for child in psutil.Process().children()}
    stop = ChildStop()
    with VideoReader(clip(3), LIMITS, stop=stop) as reader:
        assert next(iter(reader.frames([0]))).shape == (48, 64, 3)
        stopping = threading.Thread(target=stop.call)
        stopping.start()
        stopping.join()
        with pytest.raises(DecoderFailedError):
            list(reader.frames([1, 2]))
    with pytest.raises(DecoderFailedError, match="cancelled"):
        VideoReader(clip(3), LIMITS, stop=stop)
    assert {child.pid for child in psutil.Process().children()} <= before


def test_a_video_without_the_extra_is_a_sentence():
    program = (
        "import sys; sys.modules['av'] = None\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'av' else real(name, *rest)\n"
        "from smallsight.errors import MissingDecoderError\n"
        "from smallsight.media.video import VideoReader\n"
        "from smallsight.settings import Limits\n"
        "try:\n    VideoReader(sys.stdin.buffer.read(), Limits())\n"
        "except MissingDecoderError as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], input=clip(2), capture_output=True, check=True)
    assert told.stdout.decode().strip() == (
        "Videos need an optional package. hint: pip install 'smallsight[video]'."
    )

"""Short videos, drawn and encoded here: frames that can be told apart."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np
from PIL import Image


@contextmanager
def usual_scheduling() -> Iterator[None]:
    """Restore this thread's scheduling policy afterwards: as root, the encoder SVT-AV1 makes it real-time.

    Every child process would inherit that and starve the machine: findings/svt_av1_real_time.sh.
    """
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def noise_frames(num_frames: int, width: int, height: int, seed: int = 0) -> list[np.ndarray]:
    """Coarse noise of its own in each frame, and the frame's number as a grey level in its corner."""
    rng = np.random.default_rng(seed)
    frames = []
    for index in range(num_frames):
        coarse = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
        frame = coarse.repeat(8, 0).repeat(8, 1)[:height, :width].copy()
        frame[: height // 2, : width // 2] = index * 7 % 256
        frames.append(frame)
    return frames


def clip(
    num_frames: int = 30,
    width: int = 64,
    height: int = 48,
    fps: int | Fraction = 10,
    *,
    container: str = "mp4",
    codec: str = "mpeg4",
    gop: int = 12,
    seed: int = 0,
    alpha: bool = False,
) -> bytes:
    """Encode a video."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as opened:
        stream = opened.add_stream(codec, rate=fps, options={"auto-alt-ref": "0"} if alpha else {})
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuva420p" if alpha else "yuv420p"
        stream.codec_context.gop_size = gop
        for frame in noise_frames(num_frames, width, height, seed):
            opened.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        opened.mux(stream.encode())
    return buffer.getvalue()


def animation(
    num_frames: int = 5,
    width: int = 40,
    height: int = 30,
    frame_ms: int = 500,
    picture_format: str = "GIF",
    seed: int = 0,
    **options: object,
) -> bytes:
    """Encode an animated picture, for example with ``exif``."""
    images = [Image.fromarray(frame) for frame in noise_frames(num_frames, width, height, seed)]
    return animated(images, picture_format, duration=frame_ms, **options)


def animated(images: Sequence[Image.Image], picture_format: str = "GIF", **options: object) -> bytes:
    """Encode pictures as the frames of one."""
    buffer = io.BytesIO()
    lossless = {"lossless": True} if picture_format == "WEBP" else {}
    images[0].save(
        buffer, picture_format, save_all=True, append_images=images[1:], loop=0, **lossless, **options
    )
    return buffer.getvalue()


def patches(width: int = 96, height: int = 64) -> np.ndarray:
    """Red and green above blue and white, uint8 [height, width, 3]."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    return pixels


def encoded(
    frames: Sequence[np.ndarray],
    container: str = "mp4",
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    *,
    times_ms: Sequence[int] | None = None,
    rate: int = 10,
    options: dict[str, str] | None = None,
    prepare: Callable[[av.VideoStream], None] | None = None,
    convert: Callable[[av.VideoFrame], av.VideoFrame] | None = None,
) -> bytes:
    """Encode frames, RGB or RGBA, shown at ``times_ms`` or at ``rate``."""
    buffer = io.BytesIO()
    with usual_scheduling(), av.open(buffer, "w", format=container) as opened:
        stream = opened.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if prepare is not None:
            prepare(stream)
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24" if pixels.shape[2] == 3 else "rgba")
            frame = frame if convert is None else convert(frame)
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
            opened.mux(stream.encode(frame))
        opened.mux(stream.encode())
    return buffer.getvalue()


def with_matrix(mp4: bytes, a: float, b: float, c: float, d: float) -> bytes:
    """Return an MP4 whose track header turns or mirrors the frames."""
    fixed = [int(value * 65536) for value in (a, b, 0, c, d, 0, 0, 0)]
    start = mp4.index(b"tkhd") + 4 + 4 + 20 + 16
    return mp4[:start] + struct.pack(">9i", *fixed, 1 << 30) + mp4[start + 36 :]

"""Short videos, drawn and encoded here: frames that can be told apart."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
from PIL import Image


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
) -> bytes:
    """Encode a video."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as opened:
        stream = opened.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
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
) -> bytes:
    """Encode an animated picture."""
    images = [Image.fromarray(frame) for frame in noise_frames(num_frames, width, height, seed)]
    buffer = io.BytesIO()
    lossless = {"lossless": True} if picture_format == "WEBP" else {}
    images[0].save(
        buffer, picture_format, save_all=True, append_images=images[1:], duration=frame_ms, loop=0, **lossless
    )
    return buffer.getvalue()

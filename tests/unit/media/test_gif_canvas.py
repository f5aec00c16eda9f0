"""The frames of GIFs as browsers compose them, from files written here byte by byte."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from smallsight.media.gif_canvas import GifCanvas
from smallsight.media.video import VideoReader
from smallsight.settings import Limits

RED, BLUE, GREEN, YELLOW = range(4)
PALETTE = bytes([255, 0, 0, 0, 0, 255, 0, 255, 0, 255, 255, 0])
KEEP, CLEAR, RESTORE = 1, 2, 3


def packed(indices: list[int]) -> bytes:
    """LZW that never fills its table: the codes of 2-bit indices, three bits each."""
    codes = [
        code for number, index in enumerate(indices) for code in ([4, index] if number % 2 == 0 else [index])
    ]
    bits = "".join(f"{code:03b}"[::-1] for code in [*codes, 5])
    data = bytes(int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8))
    blocks = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"\2" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def frame(
    place: tuple[int, int, int, int],
    indices: int | list[int],
    disposal: int = 0,
    *,
    key: int | None = None,
    palette: bytes = b"",
    delay: int = 10,
) -> bytes:
    width, height = place[2:]
    control = b"!\xf9\x04" + bytes([disposal << 2 | (key is not None)]) + struct.pack("<H", delay)
    descriptor = b"," + struct.pack("<4H", *place) + (b"\x81" + palette if palette else b"\0")
    pixels = [indices] * (width * height) if isinstance(indices, int) else indices
    return control + bytes([key or 0, 0]) + descriptor + packed(pixels)


def gif(size: tuple[int, int], *frames: bytes) -> bytes:
    """A GIF whose background colour is blue."""
    return b"GIF89a" + struct.pack("<HH", *size) + bytes([0x81, BLUE, 0]) + PALETTE + b"".join(frames) + b";"


FULL = (0, 0, 16, 16)
FILES = {
    "small first frame": gif((16, 16), frame((4, 4, 8, 8), GREEN)),
    "small first frame of two": gif((16, 16), frame((4, 4, 8, 8), GREEN), frame((0, 0, 4, 4), YELLOW)),
    "cleared": gif(
        (16, 16), frame(FULL, GREEN, CLEAR), frame((4, 4, 4, 4), YELLOW, CLEAR), frame((8, 8, 4, 4), RED)
    ),
    "restored": gif(
        (16, 16), frame(FULL, GREEN, KEEP), frame((4, 4, 4, 4), YELLOW, RESTORE), frame((8, 8, 4, 4), RED)
    ),
    "first one restored": gif(
        (16, 16), frame(FULL, GREEN, RESTORE), frame((4, 4, 4, 4), YELLOW, RESTORE), frame((8, 8, 4, 4), RED)
    ),
    "restored, as old programs write it": gif(
        (16, 16), frame(FULL, GREEN, KEEP), frame((4, 4, 4, 4), YELLOW, 4), frame((8, 8, 4, 4), RED)
    ),
    "unknown disposal": gif(
        (16, 16), frame(FULL, GREEN, KEEP), frame((4, 4, 4, 4), YELLOW, 5), frame((8, 8, 4, 4), RED)
    ),
    "transparent colours": gif(
        (16, 16),
        frame(FULL, GREEN, KEEP),
        frame((4, 4, 4, 4), [RED, BLUE] * 8, CLEAR, key=BLUE),
        frame((8, 8, 4, 4), [RED, GREEN] * 8, key=RED),
    ),
    "first frame larger than the screen": gif(
        (8, 8), frame(FULL, GREEN, KEEP), frame((4, 4, 10, 10), YELLOW)
    ),
    "first frame beyond the screen": gif((8, 8), frame((4, 4, 8, 8), GREEN), frame((0, 0, 4, 4), YELLOW)),
    "later frame beyond the screen": gif(
        (8, 8),
        frame((0, 0, 8, 8), GREEN, KEEP),
        frame((4, 4, 10, 10), YELLOW, CLEAR),
        frame((0, 0, 2, 2), RED),
    ),
    "frame outside": gif(
        (8, 8),
        frame((0, 0, 8, 8), GREEN, KEEP),
        frame((20, 20, 2, 2), YELLOW, CLEAR),
        frame((0, 0, 2, 2), RED),
    ),
    "own palette": gif(
        (8, 8), frame((0, 0, 8, 8), GREEN, palette=PALETTE[::-1]), frame((4, 4, 2, 2), YELLOW)
    ),
}


def composed(data: bytes) -> list[np.ndarray]:
    canvas = GifCanvas(data, 100, 1_000_000)
    frames = []
    for index in range(canvas.n_frames):
        canvas.seek(index)
        frames.append(np.array(canvas))
    return frames


@pytest.mark.parametrize("name", FILES)
def test_frames_are_those_of_a_browser(browser, name):
    for index, pixels in enumerate(composed(FILES[name])):
        assert np.array_equal(pixels, browser.frame(FILES[name], "image/gif", index)), index
    assert np.array_equal(composed(FILES[name])[0], browser.picture(FILES[name], "image/gif"))


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("name", FILES)
def test_pictures_and_videos_show_the_same_on_white(decoder, name):
    right = [
        np.where(pixels[..., 3:] == 0, 255, pixels[..., :3]).astype(np.uint8)
        for pixels in composed(FILES[name])
    ]
    with VideoReader(FILES[name], Limits()) as reader:
        for frame_HWC, expected in zip(reader.frames(range(len(right))), right, strict=True):
            assert np.array_equal(frame_HWC, expected)
    picture = decoder.decode(FILES[name], max_side_px=16).image_HWC
    assert np.array_equal(picture, next(one for one in [*right, right[0]] if one.std(axis=(0, 1)).any()))


def test_what_a_frame_leaves_uncovered_is_transparent():
    (pixels,) = composed(FILES["small first frame"])
    assert pixels[0, 0].tolist() == [0, 0, 0, 0]
    assert pixels[8, 8].tolist() == [0, 255, 0, 255]
    pixels = composed(FILES["cleared"])[2]
    assert pixels[15, 15].tolist() == [0, 0, 0, 0]
    assert pixels[5, 5].tolist() == [0, 0, 0, 0]
    assert pixels[9, 9].tolist() == [255, 0, 0, 255]


def test_frames_in_any_order():
    data = FILES["restored"]
    frames = composed(data)
    canvas = GifCanvas(data, 100, 1_000_000)
    for index in (2, 0, 1, 1, 2):
        canvas.seek(index)
        assert canvas.tell() == index
        assert np.array_equal(np.array(canvas), frames[index])
    with pytest.raises(EOFError):
        canvas.seek(3)


def test_a_later_frame_of_gigantic_size_costs_only_itself(decoder):
    data = gif((8, 8), frame((0, 0, 8, 8), GREEN), frame((0, 0, 60_000, 60_000), [YELLOW]))
    decoded = decoder.decode(data, max_side_px=8, wants_pages=True)
    assert decoded.num_frames == 2
    assert decoded.image_HWC[4, 4].tolist() == [0, 255, 0]
    with pytest.raises(ValueError, match="larger"):
        composed(data)

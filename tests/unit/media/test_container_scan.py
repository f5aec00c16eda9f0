from __future__ import annotations

import struct

import pytest
from PIL import Image

from clips import animation
from smallsight.media.container_scan import (
    count_gif_frames,
    count_tiff_frames,
    gif_canvas_px,
    gif_frames,
    webp_canvas_px,
    webp_durations_ms,
)


@pytest.fixture
def frames():
    return [Image.new("RGB", (40, 30), (index * 30, 0, 255 - index * 30)) for index in range(7)]


def test_gif_frames_are_counted_up_to_the_limit(encode, frames):
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert count_gif_frames(data, 100) == 7
    assert count_gif_frames(data, 7) == 7
    assert count_gif_frames(data, 3) == 4
    assert gif_canvas_px(data) == (40, 30)


def test_a_first_frame_larger_than_its_canvas_counts(encode, frames):
    data = bytearray(encode(frames[0], "GIF"))
    data[6:10] = struct.pack("<HH", 5, 5)
    assert gif_canvas_px(bytes(data)) == (40, 30)


@pytest.mark.parametrize("options", [{}, {"big_tiff": True}])
def test_tiff_pages_are_counted_up_to_the_limit(encode, frames, options):
    data = encode(frames[0], "TIFF", save_all=True, append_images=frames[1:], **options)
    assert count_tiff_frames(data, 100) == 7
    assert count_tiff_frames(data, 3) == 4


def test_big_endian_tiff_whose_pages_run_in_a_circle():
    page = struct.pack(">H12sI", 1, bytes(12), 8)
    assert count_tiff_frames(b"MM\0*" + struct.pack(">I", 8) + page, 100) == 1


@pytest.mark.parametrize("options", [{"lossless": True}, {"lossless": False}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_canvas(encode, options, mode):
    assert webp_canvas_px(encode(Image.new(mode, (321, 123)), "WEBP", **options)) == (321, 123)


def test_webp_animation_canvas(encode, frames):
    data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    assert webp_canvas_px(data) == (40, 30)


def test_no_cut_makes_them_fail(encode, frames):
    gif = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    tiff = encode(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    webp = encode(frames[0], "WEBP")
    for length in range(len(gif)):
        assert 0 <= count_gif_frames(gif[:length], 100) <= 7
        gif_canvas_px(gif[:length])
    for length in range(4, 400):
        assert 0 <= count_tiff_frames(tiff[:length], 100) <= 7
    for length in range(len(webp)):
        webp_canvas_px(webp[:length])
    assert webp_canvas_px(b"RIFF\0\0\0\0WEBPXXXX") == (0, 0)


@pytest.mark.parametrize("frame_ms", [20, 100, 70, 2550])
def test_how_long_animations_run(frame_ms: int):
    assert [one.delay_ms for one in gif_frames(animation(7, frame_ms=frame_ms), 100)] == [frame_ms] * 7
    assert webp_durations_ms(animation(7, frame_ms=frame_ms, picture_format="WEBP"), 100) == [frame_ms] * 7


def test_the_length_of_damaged_animations_is_a_number():
    gif, webp = animation(5), animation(5, picture_format="WEBP")
    for end in range(0, len(gif), 97):
        assert 0 <= sum(one.delay_ms for one in gif_frames(gif[:end], 100)) <= 5 * 500
    assert len(list(gif_frames(gif, 2))) == 3
    for end in range(0, len(webp), 97):
        assert len(webp_durations_ms(webp[:end], 100)) <= 5
    assert len(webp_durations_ms(webp, 2)) == 3

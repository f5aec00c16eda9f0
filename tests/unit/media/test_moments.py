"""A still that shows something, and a few moments over the length of a video or an animation."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from clips import animated, animation, clip, encoded
from smallsight.errors import PictureError
from smallsight.media.decoder import PictureDecoder
from smallsight.media.moments import (
    MAX_MOMENTS,
    as_tiff,
    different_frames,
    moments_s,
    readable_frames,
    still_of,
)
from smallsight.media.video import VideoFacts, VideoReader
from smallsight.settings import Limits

BLACK = np.zeros((48, 64, 3), np.uint8)


def shade(value: int) -> np.ndarray:
    """A frame with a border, so that it is not blank."""
    frame = np.full((48, 64, 3), value, np.uint8)
    frame[:4] = 255 if value < 128 else 0
    return frame


def value_of(pixels_HWC: np.ndarray) -> int:
    return int(np.median(pixels_HWC))


@pytest.mark.parametrize("num_frames", [1, 2, 7, 100, 500_000])
@pytest.mark.parametrize("duration_s", [0.04, 1.0, 5.0, 7200.0])
def test_moments_are_few_ascending_within_the_video_and_of_different_frames(num_frames, duration_s):
    facts = VideoFacts(64, 48, num_frames, num_frames / duration_s, duration_s)
    found = moments_s(facts)
    assert 1 <= len(found) <= min(MAX_MOMENTS, num_frames)
    assert all(0 <= one < duration_s for one in found)
    frames = [facts.frame_at(one) for one in found]
    assert frames == sorted(set(frames))


def test_moments_of_a_long_video_cover_all_of_it():
    found = moments_s(VideoFacts(64, 48, 36_000, 10.0, 3600.0))
    assert len(found) == MAX_MOMENTS
    assert (found[0], found[-1]) == pytest.approx((112.5, 3487.5))


def test_the_still_is_not_the_black_beginning():
    data = encoded([BLACK] * 40 + [shade(180)] * 60)
    with VideoReader(data, Limits()) as reader:
        still = still_of(reader)
    assert abs(value_of(still.pixels_HWC) - 180) < 8
    assert 4.0 <= still.time_s < 5.0


def test_a_video_that_is_black_throughout_has_a_still():
    with VideoReader(encoded([BLACK] * 20), Limits()) as reader:
        assert value_of(still_of(reader).pixels_HWC) < 8


def test_frames_that_look_the_same_count_once_at_their_first_time():
    data = encoded([shade(40)] * 50 + [shade(200)] * 50)
    with VideoReader(data, Limits()) as reader:
        found = different_frames(reader, 768)
    assert [abs(value_of(one.pixels_HWC) - wanted) < 8 for one, wanted in zip(found, (40, 200), strict=True)]
    assert found[0].time_s == pytest.approx(0.3125)
    assert 5.0 <= found[1].time_s < 5.7


def test_frames_are_no_larger_than_asked():
    with VideoReader(clip(30, 320, 240), Limits()) as reader:
        found = different_frames(reader, 100)
    assert {one.pixels_HWC.shape for one in found} == {(75, 100, 3)}


def test_an_animation_of_500_frames_has_16_moments():
    with VideoReader(animation(500, frame_ms=40), Limits()) as reader:
        found = different_frames(reader, 768)
    assert len(found) == MAX_MOMENTS
    assert found[-1].time_s == pytest.approx(500 * 0.04 * 31 / 32)


def test_an_uneven_animation_is_looked_at_by_the_clock():
    images = [Image.fromarray(shade(value)) for value in (20, 90, 160, 230)]
    with VideoReader(animated(images, duration=[100, 100, 9000, 100]), Limits()) as reader:
        found = different_frames(reader, 768)
    assert [value_of(one.pixels_HWC) for one in found] == [160]


def test_further_frames_to_read_are_from_all_of_the_video():
    data = encoded([shade(value) for value in (30, 80, 130, 180, 230) for _ in range(20)])
    with VideoReader(data, Limits()) as reader:
        found = readable_frames(reader, still_of(reader))
    assert len(found) == 3
    assert found[-1].time_s > 7.5
    values = [value_of(one.pixels_HWC) for one in found]
    assert values == sorted(values)


def test_the_frames_before_a_cut_are_found_and_nothing_else_is_an_error():
    whole = encoded([shade(40)] * 50 + [shade(200)] * 50, "matroska", "libx264", options={"g": "5"})
    with VideoReader(whole[: len(whole) * 7 // 10], Limits()) as reader:
        assert different_frames(reader, 768)
    with pytest.raises(PictureError), VideoReader(clip(30)[:400], Limits()) as reader:
        different_frames(reader, 768)


def test_a_frame_is_handed_on_without_loss():
    frame = np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(as_tiff(frame)))), frame)
    with PictureDecoder(Limits()) as decoder:
        decoded = decoder.decode(as_tiff(frame), max_side_px=32, wants_full_size=True, wants_pages=True)
    assert np.array_equal(decoded.full_size_HWC, frame)
    assert [page.shape for page in decoded.pages_HWC] == [(24, 32, 3)]

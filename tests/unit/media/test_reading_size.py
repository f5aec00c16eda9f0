from __future__ import annotations

import pytest

from smallsight.media.reading_size import MAX_READING_PIXELS, reading_extent, reading_size


@pytest.mark.parametrize(
    ("picture_format", "size", "expected"),
    [
        ("JPEG", (800, 600), (800, 600)),
        ("JPEG", (4000, 3000), (1600, 1200)),
        ("JPEG", (3840, 2160), (1600, 900)),
        ("PNG", (1080, 2400), (720, 1600)),  # phones
        ("PNG", (1440, 3200), (720, 1600)),
        ("PNG", (1920, 1080), (1600, 900)),
        ("PNG", (2560, 1440), (2560, 1440)),
        ("PNG", (3840, 2160), (3840, 2160)),
        ("WEBP", (2160, 3840), (2160, 3840)),
        ("PNG", (1080, 20_000), (1080, 20_000)),
        ("JPEG", (1080, 20_000), (1080, 20_000)),
        ("JPEG", (9000, 900), (9000, 900)),
        ("JPEG", (20_000, 5000), (5120, 1280)),  # the panorama of a phone
        ("PNG", (1, 65_535), (1, 65_535)),
    ],
)
def test_the_size_at_which_a_picture_is_read(picture_format, size, expected):
    assert reading_size(picture_format, size, 1600) == expected


@pytest.mark.parametrize("size", [(10_000, 10_000), (1080, 65_535), (9_999, 8_000)])
def test_no_picture_is_read_at_more_pixels_than_the_limit(size):
    width_px, height_px = reading_size("PNG", size, 1600)
    assert 0.99 * MAX_READING_PIXELS < width_px * height_px < 1.001 * MAX_READING_PIXELS


@pytest.mark.parametrize(
    ("picture_format", "num_frames", "num_read", "num_left_out"),
    [("TIFF", 3, 3, 0), ("TIFF", 50, 20, 30), ("HEIF", 21, 20, 1), ("GIF", 10, 4, 6), ("JPEG", 1, 1, 0)],
)
def test_frames_and_pages_that_are_left_out(picture_format, num_frames, num_read, num_left_out):
    extent = reading_extent(picture_format, (100, 100), num_frames, 1600)
    assert (extent.num_read, extent.num_left_out) == (num_read, num_left_out)

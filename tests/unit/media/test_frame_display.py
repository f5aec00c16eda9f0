"""Turns, pixel shapes, colours and transparency of video frames, as players show them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from clips import animated, encoded, patches, with_matrix
from smallsight.media.video import VideoReader
from smallsight.settings import Limits

MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
# Upper left, upper right, lower left, lower right.
CORNERS = {
    1: "RGBW",
    2: "GRWB",
    3: "WBGR",
    4: "BWRG",
    5: "RBGW",
    6: "BRWG",
    7: "WGBR",
    8: "GWRB",
}
COLOURS = {(1, 0, 0): "R", (0, 1, 0): "G", (0, 0, 1): "B", (1, 1, 1): "W"}


def first_frame(data: bytes, limits: Limits | None = None) -> np.ndarray:
    with VideoReader(data, limits or Limits()) as reader:
        (frame,) = reader.frames([0])
        assert (reader.facts.width_px, reader.facts.height_px) == (frame.shape[1], frame.shape[0])
        return frame


def corners(pixels: np.ndarray) -> str:
    height, width = pixels.shape[:2]
    places = [(height // 4, width // 4), (height // 4, 3 * width // 4)]
    places += [(3 * height // 4, column) for _, column in places]
    return "".join(
        COLOURS.get(tuple(int(value > 128) for value in pixels[place][:3]), "?") for place in places
    )


@pytest.fixture(scope="module")
def upright() -> bytes:
    return encoded([patches()] * 3)


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize("orientation", MATRICES)
def test_turned_and_mirrored_videos(upright, browser, orientation):
    data = with_matrix(upright, *MATRICES[orientation])
    frame, shown = first_frame(data), browser.video(data, "video/mp4")
    assert corners(frame) == corners(shown) == CORNERS[orientation]
    assert frame.shape[:2] == shown.shape[:2]


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("orientation", MATRICES)
def test_a_mirror_is_a_mirror_without_a_browser_too(upright, orientation):
    assert corners(first_frame(with_matrix(upright, *MATRICES[orientation]))) == CORNERS[orientation]


@pytest.mark.parametrize("orientation", [2, 5, 6])
@pytest.mark.parametrize("container", ["mov", "matroska"])
def test_matrices_of_other_containers(container, orientation):
    a, b, c, d = MATRICES[orientation]
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    data = encoded([patches()] * 3, container, prepare=lambda stream: stream.set_display_matrix(matrix))
    assert corners(first_frame(data)) == CORNERS[orientation]


@pytest.mark.parametrize(
    "matrix", [(0.7071, 0.7071, -0.7071, 0.7071), (0.985, 0.174, -0.174, 0.985), (0, 0, 0, 0)]
)
def test_turns_other_than_by_quarters_are_left_out(upright, browser, matrix):
    data = with_matrix(upright, *matrix)
    assert corners(first_frame(data)) == corners(browser.video(data, "video/mp4")) == "RGBW"


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_animation_is_turned_as_its_picture_is(decoder, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    images = [Image.fromarray(patches()), Image.fromarray(patches() // 2 + 127)]
    data = animated(images, "WEBP", duration=100, exif=exif)
    picture = decoder.decode(data, max_side_px=96).image_HWC
    assert corners(first_frame(data)) == corners(picture) == CORNERS[orientation]
    assert first_frame(data).shape == picture.shape


def wide_pixels(aspect: Fraction):
    def prepare(stream) -> None:
        stream.codec_context.sample_aspect_ratio = aspect

    return prepare


@pytest.mark.parametrize(
    ("aspect", "size"),
    [((2, 1), (192, 64)), ((1, 2), (96, 128)), ((4, 3), (128, 64)), ((64, 45), (137, 64))],
)
def test_pixels_that_are_not_square(browser, aspect, size):
    data = encoded([patches()] * 2, prepare=wide_pixels(Fraction(*aspect)))
    frame = first_frame(data)
    assert (frame.shape[1], frame.shape[0]) == size
    assert browser.video(data, "video/mp4").shape[:2] == frame.shape[:2]
    assert corners(frame) == "RGBW"


def test_pixels_that_are_not_square_and_turned(browser):
    data = with_matrix(encoded([patches()] * 2, prepare=wide_pixels(Fraction(2))), *MATRICES[6])
    assert first_frame(data).shape[:2] == browser.video(data, "video/mp4").shape[:2] == (192, 64)


def test_a_pixel_shape_does_not_pass_the_limits():
    data = encoded([patches()] * 2, prepare=wide_pixels(Fraction(4)))
    assert first_frame(data, Limits(max_video_pixels=96 * 64)).shape == (16, 96, 3)
    assert first_frame(data, Limits(max_image_side_px=100)).shape == (16, 96, 3)


HD = {
    "HD": (1280, 720, "mp4", "libx264"),
    "full HD": (1920, 1080, "mp4", "libx264"),
    "wide": (1920, 800, "mp4", "libx264"),
    "tall": (720, 1280, "mp4", "libx264"),
    "VP8": (1280, 720, "webm", "libvpx"),
    "low and wide": (1280, 544, "mp4", "libx264"),
    "PAL": (720, 576, "mp4", "libx264"),
    "VP8 small": (640, 480, "webm", "libvpx"),
    "VP9": (1280, 720, "webm", "libvpx-vp9"),
    "AV1": (1280, 720, "mp4", "libsvtav1"),
}


@pytest.mark.mostly_slow(4)
@pytest.mark.parametrize("name", HD)
def test_colours_without_a_tag_are_those_of_the_size(browser, name):
    width, height, container, codec = HD[name]
    red = np.zeros((height, width, 3), np.uint8)
    red[:] = (255, 0, 0)
    data = encoded(
        [red],
        container,
        codec,
        convert=lambda frame: frame.reformat(format="yuv420p", dst_colorspace="ITU709"),
    )
    frame, shown = first_frame(data), browser.video(data, f"video/{container}")
    assert np.abs(frame[9, 9].astype(int) - shown[9, 9, :3]).max() <= 4
    assert (frame[9, 9, 0] > 250) == (height >= 720 and codec not in ("libvpx-vp9", "libsvtav1"))


def sticker() -> np.ndarray:
    """A dark and a half transparent patch on nothing, uint8 [64, 96, 4]."""
    pixels = np.zeros((64, 96, 4), np.uint8)
    pixels[:, :48] = (40, 20, 10, 255)
    pixels[:32, 48:72] = (10, 200, 10, 128)
    return pixels


STICKERS = {
    "VP9": ("webm", "libvpx-vp9", "yuva420p", {"auto-alt-ref": "0"}),
    "VP8": ("webm", "libvpx", "yuva420p", {"auto-alt-ref": "0"}),
    "VP9 in Matroska": ("matroska", "libvpx-vp9", "yuva420p", {"auto-alt-ref": "0"}),
    "ProRes 4444": ("mov", "prores_ks", "yuva444p10le", {"profile": "4444"}),
}


@pytest.mark.parametrize("name", STICKERS)
def test_transparency_of_videos_lies_on_the_ground_of_pictures(browser, name):
    container, codec, pix_fmt, options = STICKERS[name]
    data = encoded([sticker()] * 12, container, codec, pix_fmt, options=options)
    with VideoReader(data, Limits()) as reader:
        frames = list(reader.frames([0, 7, 11, 3]))
    for frame in frames:
        assert (
            np.abs(
                frame[[32, 16, 50], [24, 60, 80]].astype(int) - [(40, 20, 10), (132, 227, 132), (255,) * 3]
            ).max()
            < 8
        )
    if container == "webm":
        shown = browser.video(data, "video/webm").astype(float)
        on_white = shown[..., :3] * shown[..., 3:] / 255 + 255 - shown[..., 3:]
        assert np.abs(frames[0] - on_white)[[32, 16, 50], [24, 60, 80]].max() < 6


def test_white_on_nothing_gets_the_dark_ground():
    pixels = np.zeros((64, 96, 4), np.uint8)
    pixels[20:40, 20:60] = 255
    frame = first_frame(
        encoded([pixels] * 2, "webm", "libvpx-vp9", "yuva420p", options={"auto-alt-ref": "0"})
    )
    assert np.abs(frame[60, 90].astype(int) - 32).max() < 4
    assert frame[30, 40].min() > 250

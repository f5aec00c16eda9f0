from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from smallsight.errors import UnsupportedFormatError
from smallsight.media.pixels import fit_within, scaled_size, to_rgb, turn_upright

ANY_SIZE = (10_000, 10_000)


def values(image: Image.Image) -> list[int]:
    assert image.mode == "RGB"
    pixels_HWC = np.asarray(image)
    assert (pixels_HWC[..., 0] == pixels_HWC[..., 2]).all()
    return pixels_HWC[..., 0].ravel().tolist()


@pytest.mark.parametrize(
    ("size", "side_px", "expected"),
    [
        ((100, 50), 200, (100, 50)),
        ((100, 50), 50, (50, 25)),
        ((1, 20_000), 320, (1, 320)),
        ((20_000, 1), 320, (320, 1)),
        ((3, 3), 1, (1, 1)),
    ],
)
def test_scaled_size(size, side_px, expected):
    assert scaled_size(size, side_px) == expected


def test_fit_within_returns_the_image_itself_when_it_fits():
    image = Image.new("RGB", (30, 20))
    assert fit_within(image, 30) is image
    assert fit_within(image, 15).size == (15, 10)


def test_turning_has_an_inverse_for_all_orientations(scene):
    inverse = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    turned = [np.asarray(turn_upright(scene, orientation)) for orientation in range(1, 9)]
    assert len({pixels_HWC.tobytes() for pixels_HWC in turned}) == 8
    for orientation, back in inverse.items():
        again = turn_upright(turn_upright(scene, orientation), back)
        assert np.array_equal(np.asarray(again), np.asarray(scene))
    assert turn_upright(scene, 99) is scene


def deep_grey(mode: str, numbers: list[float]) -> Image.Image:
    kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
    return Image.fromarray(np.array([numbers], dtype=kind))


@pytest.mark.parametrize(
    ("mode", "numbers", "is_full_range", "expected"),
    [
        ("I;16", [0, 128 * 257, 65_535], True, [0, 128, 255]),
        ("I;16", [0, 257, 514], True, [0, 1, 2]),
        ("I;16", [0, 128 * 257, 65_535], False, [0, 128, 255]),
        ("I;16", [0, 2048, 4095], False, [0, 128, 255]),  # a 12-bit camera
        ("I;16", [0, 7, 255], False, [0, 7, 255]),
        ("I", [-1000, 0, 1000], False, [0, 128, 255]),
        ("I", [0, 1_000_000_000, 2_000_000_000], False, [0, 128, 255]),
        ("F", [0.0, 0.5, 1.0], False, [0, 128, 255]),
        ("F", [0.0, 100.0, 200.0], False, [0, 100, 200]),
        ("F", [-5.0, 0.0, 5.0], False, [0, 128, 255]),
        ("F", [3e9, 3e9, 3e9], False, [128, 128, 128]),
    ],
)
def test_deep_grey(mode, numbers, is_full_range, expected):
    rgb = to_rgb(deep_grey(mode, numbers), ANY_SIZE, is_full_range=is_full_range)
    assert np.abs(np.array(values(rgb)) - expected).max() <= 1


def test_holes_in_float_pictures_do_not_spoil_the_rest():
    rgb = to_rgb(deep_grey("F", [0.0, float("inf"), 0.5, 1.0]), ANY_SIZE, is_full_range=False)
    assert values(rgb)[2:] == [128, 255]
    to_rgb(deep_grey("F", [float("nan"), 0.5]), ANY_SIZE, is_full_range=False)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (1, 1), 90), [90]),
        (Image.new("1", (1, 1), 1), [255]),
        (Image.new("LA", (1, 1), (0, 0)), [255]),
        (Image.new("LA", (1, 1), (0, 255)), [0]),
        (Image.new("RGBA", (1, 1), (0, 0, 0, 128)), [127]),
        (Image.new("RGBA", (1, 1), (9, 9, 9, 0)), [255]),
        (Image.new("CMYK", (1, 1), (0, 0, 0, 0)), [255]),
        (Image.new("CMYK", (1, 1), (0, 0, 0, 255)), [0]),
        (Image.new("YCbCr", (1, 1), (77, 128, 128)), [77]),
        (Image.new("La", (1, 1), (0, 128)), [127]),
        (Image.new("RGBX", (1, 1), (5, 5, 5, 0)), [5]),
    ],
)
def test_modes(image, expected):
    assert values(to_rgb(image, ANY_SIZE, is_full_range=False)) == expected


def test_a_transparent_colour_becomes_white():
    for image, transparent in ((Image.new("L", (2, 1), 7), 7), (Image.new("P", (2, 1), 3), 3)):
        image.putpixel((1, 0), 0)
        image.info["transparency"] = transparent
        if image.mode == "P":
            image.putpalette([0] * 768)
        assert values(to_rgb(image, ANY_SIZE, is_full_range=False)) == [255, 0]


def test_shrinking_averages_and_keeps_the_minimum():
    checks_HW = (np.indices((400, 600)).sum(axis=0) % 2 * 255).astype(np.uint8)
    for image in (Image.fromarray(checks_HW), Image.fromarray(checks_HW.astype(np.int32) * 257)):
        rgb = to_rgb(image, (75, 50), is_full_range=True)
        assert rgb.width >= 75
        assert rgb.height >= 50
        assert rgb.width < 600
        assert set(values(rgb)) <= {127, 128}


def test_transparent_pixels_do_not_bleed_when_shrunk():
    pixels_HWC = np.zeros((64, 64, 4), np.uint8)
    pixels_HWC[:, ::2] = (255, 0, 0, 255)  # opaque red between fully transparent black
    rgb = to_rgb(Image.fromarray(pixels_HWC), (8, 8), is_full_range=False)
    red, green, blue = np.asarray(rgb)[4, 4].tolist()
    assert red >= 253
    assert abs(green - 127) <= 2
    assert abs(blue - 127) <= 2


def test_lab_is_read_as_cie_lab():
    """Mid grey, and sRGB's red: L 54.3, a 80.8, b 69.9 with the white point D50."""
    for colour, expected in (((136, 128, 128), (127, 127, 127)), ((138, 209, 198), (255, 0, 0))):
        rgb = to_rgb(Image.new("LAB", (1, 1), colour), ANY_SIZE, is_full_range=False)
        assert np.abs(np.asarray(rgb)[0, 0].astype(int) - expected).max() <= 5  # of 8 bits


def test_colour_spaces_of_no_format_say_so():
    image = Image.new("RGB", (2, 2))
    image._mode = "BGR;24"  # noqa: SLF001 - Pillow makes no such image any more
    with pytest.raises(UnsupportedFormatError, match="BGR;24"):
        to_rgb(image, ANY_SIZE, is_full_range=False)


def test_an_rgb_image_is_returned_itself_only_where_that_is_asked_for():
    image = Image.new("RGB", (4, 4), (1, 2, 3))
    assert to_rgb(image, image.size, is_full_range=True, shares=True) is image
    copied = to_rgb(image, image.size, is_full_range=True)
    assert copied is not image
    assert copied.tobytes() == image.tobytes()

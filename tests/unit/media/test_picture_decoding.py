from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from smallsight.errors import CorruptPictureError, PictureTooLargeError
from smallsight.media.perceptual_hash import dhash, phash
from smallsight.media.picture_decoding import DecodeRequest, decode_picture

ALL_FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]
# Turning a picture by the inverse of an orientation makes a file that this orientation turns upright.
STORED_BY_ORIENTATION = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def request(picture_format: str, **changes) -> DecodeRequest:
    limits = {"max_image_pixels": 100_000_000, "max_image_side_px": 65_535, "max_frames": 100}
    return DecodeRequest(picture_format, **{**limits, **changes})


def decode(data: bytes, picture_format: str, max_side_px: int | None = 70_000, **changes):
    return decode_picture(data, request(picture_format, max_side_px=max_side_px, **changes))


def assert_near(image: Image.Image, expected: Image.Image, tolerance: float) -> None:
    assert image.size == expected.size
    differences = np.abs(np.asarray(image, dtype=float) - np.asarray(expected, dtype=float))
    assert differences.mean() <= tolerance


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_every_format(encode, scene, name):
    decoded = decode(encode(scene, name), name, thumbnail_side_px=100)
    assert (decoded.width_px, decoded.height_px, decoded.num_frames) == (400, 300, 1)
    assert_near(decoded.image, scene, tolerance=12 if name == "GIF" else 4)
    assert Image.open(io.BytesIO(decoded.thumbnail_webp)).size == (100, 75)


@pytest.mark.parametrize("name", ["PNG", "WEBP", "BMP", "TIFF"])
def test_pixels_are_exact_when_nothing_has_to_shrink(encode, scene, name):
    options = {"lossless": True} if name == "WEBP" else {}
    decoded = decode(encode(scene, name, **options), name, max_side_px=400)
    assert np.array_equal(np.asarray(decoded.image), np.asarray(scene))


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_one_pixel(encode, name):
    decoded = decode(encode(Image.new("RGB", (1, 1), "white"), name), name, thumbnail_side_px=320)
    assert decoded.image.size == (1, 1)
    assert min(decoded.image.getpixel((0, 0))) >= 253
    assert Image.open(io.BytesIO(decoded.thumbnail_webp)).size == (1, 1)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "BMP", "GIF"])
@pytest.mark.parametrize(
    ("size", "small", "thumbnail"),
    [((1, 20_000), (1, 500), (1, 64)), ((20_000, 1), (500, 1), (64, 1)), ((20_000, 30), (500, 1), (64, 1))],
)
def test_long_and_thin(encode, name, size, small, thumbnail):
    decoded = decode(encode(Image.new("RGB", size), name), name, max_side_px=500, thumbnail_side_px=64)
    assert (decoded.width_px, decoded.height_px) == size
    assert decoded.image.size == small
    assert Image.open(io.BytesIO(decoded.thumbnail_webp)).size == thumbnail


def test_nothing_but_hashes_when_only_those_are_asked_for(encode, scene):
    decoded = decode_picture(encode(scene, "JPEG"), request("JPEG", wants_hashes=True))
    assert decoded.image is None
    assert decoded.thumbnail_webp is None
    assert len(decoded.hash_grey) == 64 * 64


def test_a_large_jpeg_is_the_same_picture_at_every_side(encode, scene):
    """Decoding at a fraction of the size, for speed, must show in neither pixels nor hashes."""
    large = scene.resize((2400, 1800), Image.Resampling.BICUBIC)
    data = encode(large, "JPEG", quality=92)
    whole = decode(data, "JPEG", wants_hashes=True)
    grey_HW = np.frombuffer(whole.hash_grey, np.uint8).reshape(64, 64)
    for side_px in (2399, 1200, 600, 333, 100):
        decoded = decode(data, "JPEG", max_side_px=side_px, wants_hashes=True)
        assert max(decoded.image.size) == side_px
        assert (decoded.width_px, decoded.height_px) == (2400, 1800)
        assert_near(decoded.image, whole.image.resize(decoded.image.size, Image.Resampling.BICUBIC), 2)
        other_HW = np.frombuffer(decoded.hash_grey, np.uint8).reshape(64, 64)
        assert (phash(grey_HW) ^ phash(other_HW)).bit_count() <= 2
        assert (dhash(grey_HW) ^ dhash(other_HW)).bit_count() <= 2


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(encode, scene, name, orientation):
    turn = STORED_BY_ORIENTATION[orientation]
    stored = scene if turn is None else scene.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(encode(stored, name, exif=exif), name)
    assert (decoded.width_px, decoded.height_px) == (400, 300)
    assert_near(decoded.image, scene, tolerance=4)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_a_damaged_exif_block_costs_only_the_orientation(encode, scene, exif):
    decoded = decode(encode(scene, "JPEG", exif=exif), "JPEG")
    assert_near(decoded.image, scene, tolerance=4)


def test_cmyk_jpeg_in_the_inverted_way_of_adobe(encode, scene):
    data = encode(scene.convert("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in data
    assert_near(decode(data, "JPEG").image, scene, tolerance=4)


def test_grey_pictures_become_rgb(encode, scene):
    grey = scene.convert("L")
    for name in ("PNG", "JPEG", "TIFF"):
        assert_near(decode(encode(grey, name), name).image, grey.convert("RGB"), tolerance=2)


def test_sixteen_bit_png(encode):
    numbers_HW = np.array([[0, 1000 * 8, 32_896, 65_535]], dtype=np.uint16)
    decoded = decode(encode(Image.fromarray(numbers_HW), "PNG"), "PNG")
    assert [decoded.image.getpixel((x, 0))[0] for x in range(4)] == [0, 31, 128, 255]


def test_float_tiff(encode):
    numbers_HW = np.array([[0.0, 0.25, 1.0]], dtype=np.float32)
    decoded = decode(encode(Image.fromarray(numbers_HW), "TIFF"), "TIFF")
    assert [decoded.image.getpixel((x, 0))[0] for x in range(3)] == [0, 64, 255]


def test_transparency_is_laid_on_white(encode):
    see_through = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    see_through.putpixel((1, 0), (0, 0, 0, 255))
    palette = see_through.quantize()
    grey = see_through.convert("LA")
    for image, name in ((see_through, "PNG"), (palette, "PNG"), (see_through, "GIF"), (grey, "PNG")):
        decoded = decode(encode(image, name), name)
        assert [decoded.image.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 0)]
    decoded = decode(encode(see_through, "WEBP", lossless=True), "WEBP")
    assert decoded.image.getpixel((0, 0)) == (255, 255, 255)


def test_a_transparent_colour_key(encode):
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    decoded = decode(encode(image, "PNG", transparency=(1, 2, 3)), "PNG")
    assert [decoded.image.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (9, 9, 9)]


@pytest.mark.parametrize("name", ["PNG", "GIF", "WEBP", "TIFF", "AVIF"])
def test_the_first_of_several_frames(encode, name):
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "lime", "blue")]
    data = encode(frames[0], name, save_all=True, append_images=frames[1:])
    assert sum(1 for _ in ImageSequence.Iterator(Image.open(io.BytesIO(data)))) == 3
    decoded = decode(data, name)
    assert decoded.num_frames == 3
    red, green, blue = decoded.image.getpixel((20, 20))
    assert red > 240
    assert max(green, blue) < 15
    with pytest.raises(PictureTooLargeError, match="more than 2"):
        decode(data, name, max_frames=2)


def test_a_jpeg_with_a_second_picture_inside_is_one_still(encode, scene):
    data = encode(scene, "MPO", save_all=True, append_images=[scene])
    assert decode(data, "JPEG").num_frames == 1


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_limits_come_before_pixels(encode, name):
    data = encode(Image.new("RGB", (60, 40)), name)
    decode(data, name, max_image_pixels=2400, max_image_side_px=60)
    most = 2399 if name != "JPEG" else 39  # an eighth of both sides is 8 x 5
    with pytest.raises(PictureTooLargeError, match=rf"2400 \(limit {most}\)"):
        decode(data, name, max_image_pixels=most)
    with pytest.raises(PictureTooLargeError, match=r"60 px \(limit 59\)"):
        decode(data, name, max_image_side_px=59)


@pytest.mark.mostly_slow(21)
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "GIF"])
@pytest.mark.parametrize("tenths", range(1, 10))
def test_cut_files_are_corrupt(encode, scene, name, tenths):
    data = encode(scene, name)
    with pytest.raises(CorruptPictureError) as caught:
        decode(data[: len(data) * tenths // 10], name)
    assert name in caught.value.message
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize("num_bytes", [1, 2, 6, 40])
def test_a_jpeg_without_its_last_bytes_is_shown_as_viewers_do(encode, scene, num_bytes):
    data = encode(scene, "JPEG")
    whole, cut = decode(data, "JPEG", max_side_px=200), decode(data[:-num_bytes], "JPEG", max_side_px=200)
    difference = np.abs(np.asarray(whole.image, np.int16) - np.asarray(cut.image, np.int16)).max(axis=(1, 2))
    assert (difference[: -len(difference) // 3] == 0).all()


def test_bytes_of_another_format_are_corrupt(encode, scene):
    with pytest.raises(CorruptPictureError):
        decode(encode(scene, "PNG"), "JPEG")

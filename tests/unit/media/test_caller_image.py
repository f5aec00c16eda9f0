"""An image that a caller opened with Pillow gives the pixels that the decoder makes of its own file."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from handmade_files import DISPLAY_P3, png
from smallsight.errors import CorruptPictureError, PictureTooLargeError
from smallsight.media.caller_image import show_image
from smallsight.media.decoder import PictureDecoder
from smallsight.settings import Limits

LIMITS = Limits()
WIDTH_PX, HEIGHT_PX = 40, 26


def shown(image: Image.Image) -> np.ndarray:
    rgb = show_image(image, LIMITS)
    assert rgb.mode == "RGB"
    return np.asarray(rgb)


def decoded(decoder, data: bytes) -> np.ndarray:
    return decoder.decode(data, wants_full_size=True).full_size_HWC


def scene(mode: str) -> Image.Image:
    """A ramp with colours, transparency from left to right, and a light corner, in any mode."""
    y, x = np.indices((HEIGHT_PX, WIDTH_PX))
    colours = np.stack([x * 6, y * 9, (x * y) % 256, 255 - x * 6], axis=-1).astype(np.uint8)
    rgba = Image.fromarray(colours)
    ramp = x * 1600 + y * 30
    match mode:
        case "F":
            return Image.fromarray((ramp / 65_535).astype(np.float32))
        case "I":
            return Image.fromarray((ramp * 3000 - 70_000_000).astype(np.int32))
        case "I;16" | "I;16L" | "I;16N":
            raw = ramp.astype("=u2" if mode == "I;16N" else "<u2").tobytes()
            return Image.frombytes(mode, rgba.size, raw)
        case "I;16B":
            return Image.frombytes(mode, rgba.size, ramp.astype(">u2").tobytes())
        case "LA" | "La":
            grey = Image.merge("LA", (rgba.getchannel(0), rgba.getchannel("A")))
            return grey if mode == "LA" else grey.convert("La")
        case "RGBA" | "RGBa":
            return rgba.convert(mode)
        case "LAB":
            profile = ImageCms.createProfile("LAB")
            to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), profile, "RGB", "LAB")
            return ImageCms.applyTransform(rgba.convert("RGB"), to_lab)
        case "PA":
            pa = rgba.convert("RGB").quantize(16).convert("PA")
            pa.putalpha(rgba.getchannel("A"))
            return pa
        case "P":
            return rgba.convert("RGB").quantize(16)
        case _:
            return rgba.convert("RGB").convert(mode)


def with_key(image: Image.Image, key: int | tuple[int, ...] | bytes) -> Image.Image:
    image.info["transparency"] = key
    return image


PICTURES = {
    **{
        mode: (mode, form)
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B")
        for form in ("PNG",)
    },
    **{
        f"{mode} in TIFF": (mode, "TIFF")
        for mode in ("1", "L", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "I;16L", "I;16B", "F")
    },
    **{f"{mode} in WebP": (mode, "WEBP") for mode in ("RGB", "RGBA")},
    "CMYK in JPEG": ("CMYK", "JPEG"),
    "L in JPEG": ("L", "JPEG"),
}


def saved(image: Image.Image, form: str, orientation: int, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    if form == "WEBP":
        options["lossless"] = True
    image.save(file, form, exif=exif, **options)
    return file.getvalue()


@pytest.mark.mostly_slow(40)
@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_mode_in_every_orientation(decoder, name: str, orientation: int):
    mode, form = PICTURES[name]
    data = saved(scene(mode), form, orientation)
    expected = decoded(decoder, data)
    assert expected.shape[0] == (HEIGHT_PX if orientation < 5 else WIDTH_PX)
    for step in (lambda image: image, Image.Image.copy):  # lazily opened, and a copy that forgot its file
        with Image.open(io.BytesIO(data)) as image:
            assert np.array_equal(shown(step(image)), expected)


@pytest.mark.parametrize(
    ("mode", "file_mode"),
    [("La", "LA"), ("RGBa", "RGBA"), ("RGBX", "RGB"), ("HSV", "RGB"), ("I;16N", "I;16"), ("PA", "RGBA")],
)
def test_modes_without_files_of_their_own_show_as_the_nearest(decoder, mode: str, file_mode: str):
    image = scene(mode)
    expected = decoded(
        decoder, saved(scene("I;16") if mode == "I;16N" else image.convert(file_mode), "PNG", 1)
    )
    assert np.array_equal(shown(image), expected)


@pytest.mark.parametrize(
    "image",
    [
        with_key(scene("P"), 3),
        with_key(scene("P"), bytes(range(0, 256, 16))),
        with_key(scene("L"), 60),
        with_key(scene("RGB"), (60, 9, 10)),
        with_key(scene("I;16"), 1630),
        scene("RGBA").quantize(16),
    ],
    ids=["P", "P with alphas", "L", "RGB", "I;16", "P with a palette of RGBA"],
)
def test_transparency_beside_the_pixels(decoder, image: Image.Image):
    data = saved(image, "PNG", 6)
    expected = decoded(decoder, data)
    with Image.open(io.BytesIO(data)) as opened:
        assert np.array_equal(shown(opened), expected)
        assert np.array_equal(shown(opened.copy()), expected)
        assert np.array_equal(shown(opened), expected)  # the caller's image has not changed


@pytest.mark.parametrize(
    ("depth", "colour_type", "row", "key"),
    [
        (1, 0, bytes([0b0100_0000]), (1,)),
        (2, 0, bytes([0b0100_0000]), (1,)),
        (4, 0, bytes([0b1000_0000]), (8,)),
        (8, 0, bytes([85, 0]), (85,)),
        (16, 0, struct.pack(">2H", 0x8081, 0x8082), (0x8081,)),
        (16, 2, struct.pack(">6H", 0x0102, 0x0304, 0x0506, 0x9000, 0, 0x4000), (0x0102, 0x0304, 0x0506)),
        (8, 2, bytes([1, 2, 3, 4, 5, 6]), (1, 2, 3)),
    ],
)
def test_a_transparent_colour_of_every_depth(decoder, depth, colour_type, row, key):
    data = png(depth, colour_type, row, 2, key)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(shown(image), decoded(decoder, data))


def test_profiles_and_light_pictures_on_nothing(decoder):
    letters = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
    letters.paste((255, 255, 255, 255), (20, 10, 40, 30))
    for image, options in ((scene("RGB"), {"icc_profile": DISPLAY_P3}), (letters, {})):
        data = saved(image, "PNG", 1, **options)
        with Image.open(io.BytesIO(data)) as opened:
            assert np.array_equal(shown(opened), decoded(decoder, data))
            assert not np.array_equal(shown(opened), np.asarray(image.convert("RGB")))
    assert shown(letters)[0, 0].tolist() == [32, 32, 32]


def test_an_orientation_in_xmp_alone_turns_nothing(decoder):
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:tiff="t"><r tiff:Orientation="6"/></x:xmpmeta>'
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp)
    file = io.BytesIO()
    scene("RGB").save(file, "PNG", pnginfo=text)
    with Image.open(file) as image:
        assert image.getexif()[0x0112] == 6  # as Pillow tells it
        assert np.array_equal(shown(image), decoded(decoder, file.getvalue()))
        assert "XML:com.adobe.xmp" in image.info


def test_an_image_that_the_caller_turned_with_exif_transpose_stays():
    from PIL import ImageOps

    with Image.open(io.BytesIO(saved(scene("RGB"), "PNG", 6))) as image:
        upright = ImageOps.exif_transpose(image)
    assert np.array_equal(shown(upright), np.asarray(upright))


def test_damaged_exif_turns_nothing():
    image = scene("L")
    for damaged in (b"Exif\0\0nothing", b"\xff" * 40, "text", 7):
        image.info["exif"] = damaged
        assert np.array_equal(shown(image)[..., 0], np.asarray(image))


def test_images_without_pixels_are_named():
    data = saved(scene("RGB"), "PNG", 1)
    with Image.open(io.BytesIO(data[: len(data) // 2])) as cut, pytest.raises(CorruptPictureError):
        shown(cut)
    with Image.open(io.BytesIO(data)) as closed:
        pass
    with pytest.raises(CorruptPictureError):
        shown(closed)


@pytest.mark.parametrize(("max_pixels", "size"), [(1000, (20, 13)), (200, (10, 7)), (20, (5, 4))])
def test_a_huge_jpeg_is_reduced_as_its_file_is(max_pixels: int, size: tuple[int, int]):
    data = saved(scene("RGB"), "JPEG", 1, quality=95)
    limits = Limits(max_image_pixels=max_pixels)
    with Image.open(io.BytesIO(data)) as image, PictureDecoder(limits) as decoder:
        rgb = show_image(image, limits)
        expected = decoder.decode(data, wants_full_size=True).full_size_HWC
        assert image.size == (WIDTH_PX, HEIGHT_PX), "the caller's image has not changed"
    assert rgb.size == size == expected.shape[1::-1]
    assert np.abs(np.asarray(rgb).astype(int) - expected).mean() < 12  # two ways of averaging


def test_limits_hold_before_anything_is_decoded():
    with (
        Image.open(io.BytesIO(saved(scene("RGB"), "PNG", 1))) as image,
        pytest.raises(PictureTooLargeError, match="limit 1000"),
    ):
        show_image(image, Limits(max_image_pixels=1000))

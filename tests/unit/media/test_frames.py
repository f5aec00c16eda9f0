"""Which frame of an animation is the picture, and which frames and pages are read."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

ANIMATED = {
    "GIF": {"duration": 100},
    "WEBP": {"duration": 100, "lossless": True},
    "PNG": {"duration": 100},
    "AVIF": {"duration": 100, "quality": 95},
}


def card(text: str, ground: str = "white", mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, (200, 80), ground)
    ImageDraw.Draw(image).text((10, 20), text, fill="black", font_size=32)
    return image


def animation(encode, name: str, frames: list[Image.Image]) -> bytes:
    return encode(frames[0], name, save_all=True, append_images=frames[1:], **ANIMATED[name])


@pytest.mark.parametrize("name", ANIMATED)
@pytest.mark.parametrize("blank", ["white", "black", "#f0f0f0"])
@pytest.mark.parametrize("num_blank", [1, 5])
def test_blank_first_frames_are_passed_over(decoder, encode, name, blank, num_blank):
    # Encoders leave equal frames out.
    ground = Image.new("RGB", (200, 80), blank)
    shades = [ground.point(lambda value, n=n: abs(value - n)) for n in range(num_blank)]
    data = animation(encode, name, [*shades, card("WORDS"), card("LATER")])
    decoded = decoder.decode(
        data, max_side_px=200, thumbnail_side_px=64, wants_hashes=True, wants_full_size=True, wants_pages=True
    )
    right = np.asarray(card("WORDS"), dtype=int)
    assert np.abs(decoded.image_HWC - right).mean() < 6
    assert np.array_equal(decoded.full_size_HWC, decoded.image_HWC)
    assert np.asarray(Image.open(io.BytesIO(decoded.thumbnail_webp)).convert("L")).min() < 120
    assert decoded.hash_grey_HW.min() < 150
    assert len(decoded.pages_HWC) == 2
    assert np.abs(decoded.pages_HWC[1] - np.asarray(card("LATER"), dtype=int)).mean() < 6


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG"])
def test_words_that_fade_in(decoder, encode, name):
    frames = [Image.blend(Image.new("RGB", (200, 80), "white"), card("FADE"), n / 8) for n in range(9)]
    decoded = decoder.decode(animation(encode, name, frames), max_side_px=200)
    assert int(decoded.image_HWC.max()) - int(decoded.image_HWC.min()) > 40


@pytest.mark.parametrize("name", ANIMATED)
def test_an_animation_of_blank_frames_is_blank(decoder, encode, name):
    data = animation(encode, name, [Image.new("RGB", (60, 40), shade) for shade in ("white", "#fefefe")])
    assert decoder.decode(data, max_side_px=60).image_HWC.min() > 240


def test_frames_that_look_alike_are_read_once(decoder, encode):
    first, second = card("ONE"), card("TWO")
    second_again = second.copy()
    second_again.putpixel((0, 0), (250, 250, 250))
    data = animation(encode, "WEBP", [first, second, second_again])
    assert len(decoder.decode(data, max_side_px=200, wants_pages=True).pages_HWC) == 2


def test_a_fallback_picture_is_no_frame_of_an_apng(decoder, encode):
    frames = [card("FIRST"), card("SECOND")]
    data = encode(
        card("NO APNG HERE", "red"),
        "PNG",
        save_all=True,
        append_images=frames,
        default_image=True,
        duration=100,
    )
    decoded = decoder.decode(data, max_side_px=200)
    assert decoded.num_frames == 2
    assert np.abs(decoded.image_HWC - np.asarray(card("FIRST"), dtype=int)).mean() < 6


@pytest.mark.parametrize("num_pages", [3, 25])
@pytest.mark.parametrize("compression", ["group4", "tiff_lzw"])
def test_the_pages_of_a_tiff(decoder, encode, num_pages, compression):
    pages = [card(f"page {n}", mode="L").convert("1") for n in range(num_pages)]
    pages[1] = pages[1].resize((160, 90))
    data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression=compression)
    decoded = decoder.decode(data, max_side_px=1600, wants_pages=True)
    assert decoded.num_frames == num_pages
    assert len(decoded.pages_HWC) == min(20, num_pages)
    for page, read_HWC in zip(pages, decoded.pages_HWC, strict=False):
        assert np.array_equal(read_HWC, np.asarray(page.convert("RGB")))


def test_a_blank_first_page_stays_the_picture(decoder, encode):
    pages = [Image.new("RGB", (200, 80), "white"), card("text")]
    data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    decoded = decoder.decode(data, max_side_px=200, wants_pages=True)
    assert decoded.image_HWC.min() == 255
    assert decoded.pages_HWC[1].min() < 100


def test_a_damaged_page_costs_only_itself(decoder, encode):
    pages = [card(f"page {n}") for n in range(3)]
    data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    strip = data.index(b"\x80", len(data) // 2)
    damaged = data[:strip] + b"\xff" * 40 + data[strip + 40 :]
    assert np.array_equal(decoder.decode(damaged, max_side_px=200, wants_pages=True).pages_HWC[0], pages[0])


def test_the_pictures_of_a_heic(decoder, encode):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    data = encode(card("one"), "HEIF", save_all=True, append_images=[card("two")], quality=95)
    pages = decoder.decode(data, max_side_px=200, wants_pages=True).pages_HWC
    assert np.abs(pages[1] - np.asarray(card("two"), dtype=int)).mean() < 8


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("name", ["JPEG", "PNG"])
def test_a_long_picture_is_read_at_its_own_size(decoder, encode, orientation, name):
    size = (300, 6_000) if orientation == 1 else (6_000, 300)
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decoder.decode(
        encode(Image.new("RGB", size, "grey"), name, exif=exif), max_side_px=1600, wants_pages=True
    )
    assert [page.shape for page in decoded.pages_HWC] == [(6_000, 300, 3)]
    assert decoded.image_HWC.shape == (1_600, 80, 3)

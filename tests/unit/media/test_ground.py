"""Transparent pictures are laid on the ground that shows them; every user of the pixels gets the same."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from smallsight.media.ground import DARK, WHITE, choose_ground

CLEAR = (0, 0, 0, 0)


def sticker(colour: str, *, size: int = 60, stroke: str | None = None) -> Image.Image:
    image = Image.new("RGBA", (500, 140), CLEAR)
    options = {"stroke_width": 4, "stroke_fill": stroke} if stroke else {}
    ImageDraw.Draw(image).text((20, 30), "BANANA tree", fill=colour, font_size=size, **options)
    return image


def ghost() -> Image.Image:
    image = Image.new("RGBA", (300, 300), CLEAR)
    draw = ImageDraw.Draw(image)
    draw.ellipse((30, 30, 270, 270), fill="white")
    draw.ellipse((110, 120, 130, 140), fill="black")
    return image


def window(*, corners: bool, shadow: bool) -> Image.Image:
    """A white page as windows are captured: with round corners, or with a shadow around it."""
    margin = 40 if shadow else 0
    image = Image.new("RGBA", (500, 400), CLEAR)
    if shadow:
        ImageDraw.Draw(image).rectangle((30, 30, 470, 370), fill=(0, 0, 0, 120))
        image = image.filter(ImageFilter.GaussianBlur(12))
    box = (margin, margin, 499 - margin, 399 - margin)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle(box, 12 if corners else 0, fill="white")
    draw.text((120, 120), "a page with few words", fill="black", font_size=20)
    return image


@pytest.mark.parametrize(
    "image",
    [
        sticker("white"),
        sticker("white", size=14),
        sticker("#eeeeee"),
        sticker("#ffffff60"),
        sticker("#ffffe0"),
        ghost(),
    ],
)
def test_what_white_would_hide_lies_on_dark(image):
    assert choose_ground(image) == DARK


@pytest.mark.parametrize(
    "image",
    [
        sticker("black"),
        sticker("#202020"),
        sticker("red"),
        sticker("#ffff60"),
        sticker("#808080"),
        sticker("white", stroke="black"),
        window(corners=True, shadow=False),
        window(corners=True, shadow=True),
        Image.new("RGBA", (50, 50), CLEAR),
        Image.new("RGBA", (50, 50), "white"),
    ],
)
def test_everything_else_lies_on_white(image):
    assert choose_ground(image) == WHITE


def as_palette(image: Image.Image) -> Image.Image:
    return image.quantize(8, method=Image.Quantize.FASTOCTREE)


@pytest.mark.parametrize(
    ("name", "convert", "options"),
    [
        ("PNG", None, {}),
        ("PNG", "LA", {}),
        ("PNG", "P", {}),
        ("WEBP", None, {"lossless": True}),
        ("AVIF", None, {"quality": 95}),
        ("GIF", None, {}),
        ("TIFF", None, {}),
    ],
)
def test_letters_show_in_pixels_thumbnail_and_hashes(decoder, encode, name, convert, options):
    drawn = sticker("white")
    image = as_palette(drawn) if convert == "P" else drawn.convert(convert or "RGBA")
    decoded = decoder.decode(
        encode(image, name, **options),
        max_side_px=250,
        thumbnail_side_px=100,
        wants_hashes=True,
        wants_full_size=True,
    )
    thumbnail = np.asarray(Image.open(io.BytesIO(decoded.thumbnail_webp)).convert("RGB"))
    for pixels in (decoded.full_size_HWC, decoded.image_HWC, thumbnail, decoded.hash_grey_HW):
        assert pixels.min() < 50
        assert pixels.max() > 140
        assert np.median(pixels) < 60


def test_two_white_stickers_do_not_look_alike(decoder, encode):
    first = decoder.decode(encode(sticker("white"), "PNG"), wants_hashes=True)
    second = decoder.decode(encode(ghost(), "PNG"), wants_hashes=True)
    assert (first.phash ^ second.phash).bit_count() > 16
    assert (first.dhash ^ second.dhash).bit_count() > 8


@pytest.mark.parametrize("side_px", [200, 1_000, 4_000])
def test_the_ground_is_the_same_at_every_size(decoder, encode, side_px):
    large = sticker("white").resize((4_000, 1_120), Image.Resampling.BICUBIC)
    decoded = decoder.decode(encode(large, "PNG"), max_side_px=side_px)
    assert decoded.image_HWC[0, 0].tolist() == list(DARK)

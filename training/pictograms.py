"""Drawing one thing: a coloured emoji, the same in one colour, an outline glyph, or a shape."""

from __future__ import annotations

import math
import random
from functools import cache

from PIL import Image, ImageChops, ImageDraw, ImageOps

from training.assets import EMOJI, EMOJI_PX, SYMBOLS, font
from training.backgrounds import shade
from training.vocabulary import PICTOGRAMS


def draw_thing(rng: random.Random, name: str, colour: str | None, side_px: int) -> Image.Image:
    """Return an RGBA picture, cropped, its longer side ``side_px``; None for an emoji in its own colours."""
    if name not in PICTOGRAMS:
        assert colour is not None
        return _shape(name, shade(rng, colour), side_px)
    character = rng.choice(PICTOGRAMS[name])
    if colour is None:
        drawn = _emoji(character)
    elif rng.random() < 0.5:
        drawn = _tinted(character, shade(rng, colour))
    else:
        drawn = _glyph(character, shade(rng, colour))
    if rng.random() < 0.3:
        drawn = ImageOps.mirror(drawn)
    return _fit(drawn, side_px)


def _fit(drawn: Image.Image, side_px: int) -> Image.Image:
    ratio = side_px / max(drawn.size)
    width, height = (max(1, round(side * ratio)) for side in drawn.size)
    return drawn.resize((width, height), Image.Resampling.BILINEAR)


@cache
def _emoji(character: str) -> Image.Image:
    drawn = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(drawn).text((0, 0), character, font=font(EMOJI, EMOJI_PX), embedded_color=True)
    return drawn.crop(drawn.getbbox())


@cache
def _grey_emoji(character: str) -> tuple[Image.Image, Image.Image]:
    """Return lightness, spread so that the brightest is white, and coverage."""
    drawn = _emoji(character)
    return ImageOps.autocontrast(drawn.convert("L"), mask=drawn.getchannel("A")), drawn.getchannel("A")


def _tinted(character: str, colour: tuple[int, int, int]) -> Image.Image:
    lightness, coverage = _grey_emoji(character)
    lifted = lightness.point(lambda value: 90 + value * 165 // 255)
    flat = Image.new("RGB", lightness.size, colour)
    drawn = ImageChops.multiply(flat, Image.merge("RGB", [lifted] * 3))
    drawn.putalpha(coverage)
    return drawn


@cache
def _glyph_mask(character: str) -> Image.Image:
    mask = Image.new("L", (220, 220))
    ImageDraw.Draw(mask).text((40, 20), character, font=font(SYMBOLS, 120), fill=255, stroke_width=2)
    return mask.crop(mask.getbbox())


def _glyph(character: str, colour: tuple[int, int, int]) -> Image.Image:
    mask = _glyph_mask(character)
    drawn = Image.new("RGBA", mask.size, (*colour, 0))
    drawn.putalpha(mask)
    return drawn


def _shape(name: str, colour: tuple[int, int, int], side_px: int) -> Image.Image:
    big = 4 * side_px
    drawn = Image.new("RGBA", (big, big), (*colour, 0))
    draw, fill, middle = ImageDraw.Draw(drawn), (*colour, 255), big / 2
    if name == "circle":
        draw.ellipse((0, 0, big - 1, big - 1), fill=fill)
    elif name == "ring":
        draw.ellipse((0, 0, big - 1, big - 1), outline=fill, width=big // 6)
    elif name == "square":
        draw.rectangle((0, 0, big, big), fill=fill)
    elif name == "cross":
        third = big / 3
        draw.rectangle((0, third, big, 2 * third), fill=fill)
        draw.rectangle((third, 0, 2 * third, big), fill=fill)
    elif name == "triangle":
        draw.polygon([(middle, 0), (0, big), (big, big)], fill=fill)
    elif name == "diamond":
        draw.polygon([(middle, 0), (0.1 * big, middle), (middle, big), (0.9 * big, middle)], fill=fill)
    elif name == "star":
        points = [(middle * (1 if corner % 2 == 0 else 0.42), corner * math.pi / 5) for corner in range(10)]
        draw.polygon([(middle + r * math.sin(a), middle - r * math.cos(a)) for r, a in points], fill=fill)
    else:
        draw.ellipse((0, 0, middle, middle), fill=fill)
        draw.ellipse((middle, 0, big, middle), fill=fill)
        draw.polygon([(0.06 * big, 0.4 * big), (0.94 * big, 0.4 * big), (middle, big)], fill=fill)
    return drawn.resize((side_px, side_px), Image.Resampling.BOX)

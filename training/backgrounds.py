"""What lies behind things and text, by a colour's name."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageDraw

from training.vocabulary import COLOURS


def shade(rng: random.Random, colour: str, spread: int = 14) -> tuple[int, int, int]:
    """Return a colour near the one named."""
    red, green, blue = (min(255, max(0, value + rng.randint(-spread, spread))) for value in COLOURS[colour])
    return red, green, blue


def draw_background(
    rng: random.Random, size: tuple[int, int], kind: str, colours: tuple[str, str]
) -> Image.Image:
    """Return an RGB picture of this kind; only gradients and stripes use the second colour."""
    return _KINDS[kind](rng, size, colours)


def _plain(rng: random.Random, size: tuple[int, int], colours: tuple[str, str]) -> Image.Image:
    return Image.new("RGB", size, shade(rng, colours[0]))


def _gradient(rng: random.Random, size: tuple[int, int], colours: tuple[str, str]) -> Image.Image:
    ramp = Image.linear_gradient("L").rotate(rng.choice((180, 270))).resize(size)  # the first above or left
    first, second = (Image.new("RGB", size, shade(rng, colour)) for colour in colours)
    return Image.composite(first, second, ramp)


def _stripes(rng: random.Random, size: tuple[int, int], colours: tuple[str, str]) -> Image.Image:
    image = Image.new("RGB", size, shade(rng, colours[0]))
    draw, width = ImageDraw.Draw(image), rng.randint(12, 32)
    second, is_upright = shade(rng, colours[1]), rng.random() < 0.5
    for start in range(width, max(size), 2 * width):
        box = (start, 0, start + width, size[1]) if is_upright else (0, start, size[0], start + width)
        draw.rectangle(box, fill=second)
    return image


def _texture(rng: random.Random, size: tuple[int, int], colours: tuple[str, str]) -> Image.Image:
    return _speckled(rng, size, colours[0], cell_px=rng.randint(6, 24), strength=rng.randint(14, 34))


def _noise(rng: random.Random, size: tuple[int, int], colours: tuple[str, str]) -> Image.Image:
    return _speckled(rng, size, colours[0], cell_px=rng.randint(1, 3), strength=rng.randint(14, 40))


def _speckled(
    rng: random.Random, size: tuple[int, int], colour: str, *, cell_px: int, strength: int
) -> Image.Image:
    grid = np.random.default_rng(rng.getrandbits(32)).normal(
        0, strength, (max(2, size[1] // cell_px), max(2, size[0] // cell_px))
    )
    rough = Image.fromarray(grid.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    values = np.asarray(shade(rng, colour), np.float32) + np.asarray(rough)[..., None]
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _crowd(rng: random.Random, size: tuple[int, int], colours: tuple[str, str]) -> Image.Image:
    image = Image.new("RGB", size, shade(rng, colours[0]))
    draw = ImageDraw.Draw(image)
    for _ in range(size[0] * size[1] // 900):
        x, y, radius = rng.randint(0, size[0]), rng.randint(0, size[1]), rng.randint(2, 6)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade(rng, colours[0], 40))
    return image


_KINDS = {
    "plain": _plain,
    "gradient": _gradient,
    "stripes": _stripes,
    "texture": _texture,
    "noise": _noise,
    "crowd": _crowd,
}

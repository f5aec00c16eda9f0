"""Draws pictures without text for benchmarks/reading.py: what a reader takes for letters."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]


def scenery(size: tuple[int, int], chance: random.Random, detail: float) -> Image.Image:
    """Return blobs of colour with noise, like a photograph; ``detail`` 0 to 1."""
    width_px, height_px = size
    image = Image.new("RGB", (width_px // 2, height_px // 2), colour(chance))
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y = chance.randrange(width_px // 2), chance.randrange(height_px // 2)
        side = chance.randrange(6, 120)
        shape = draw.rectangle if chance.random() < 0.4 else draw.ellipse
        shape((x, y, x + side, y + int(side * chance.uniform(0.3, 2))), fill=colour(chance))
    image = image.filter(ImageFilter.GaussianBlur(3 - 2 * detail)).resize(size, Image.Resampling.BICUBIC)
    noise = np.random.default_rng(chance.getrandbits(32)).normal(0, 4 + 16 * detail, (height_px, width_px, 1))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def colour(chance: random.Random, low: int = 0, high: int = 255) -> Colour:
    """Return any colour with channels in a range."""
    return chance.randint(low, high), chance.randint(low, high), chance.randint(low, high)


def blobs(size: tuple[int, int], chance: random.Random) -> Image.Image:
    """Return scenery, blurred or sharp."""
    return scenery(size, chance, chance.random())


def foliage(size: tuple[int, int], chance: random.Random) -> Image.Image:
    """Return thousands of small leaves over one another."""
    image = Image.new("RGB", size, (20, 40, 18))
    draw = ImageDraw.Draw(image)
    for _ in range(size[0] * size[1] // 150):
        x, y = chance.randrange(size[0]), chance.randrange(size[1])
        across, along = chance.randint(2, 9), chance.randint(6, 22)
        shade = chance.randint(30, 170)
        leaf = [
            (x, y),
            (x + across, y + along // 2),
            (x + chance.randint(-6, 6), y + along),
            (x - across, y + 5),
        ]
        draw.polygon(leaf, fill=(shade // 2, shade, shade // 3))
    return image


def grain(size: tuple[int, int], chance: random.Random) -> Image.Image:
    """Return noise, fine or coarse."""
    noise = np.random.default_rng(chance.getrandbits(32)).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(chance.uniform(0, 3)))


def wall(size: tuple[int, int], chance: random.Random) -> Image.Image:
    """Return bricks, tiles or windows."""
    image = Image.new("RGB", size, colour(chance, 90, 200))
    draw, width, height = ImageDraw.Draw(image), chance.randint(12, 70), chance.randint(8, 40)
    for row in range(size[1] // height + 1):
        for column in range(-1, size[0] // width + 1):
            left, top = column * width + row % 2 * width // 2, row * height
            draw.rectangle((left, top, left + width - 3, top + height - 3), fill=colour(chance, 60, 220))
    return image


def cartoon(size: tuple[int, int], chance: random.Random) -> Image.Image:
    """Return rings, bars and curves with outlines, as in comics and pictograms."""
    image = Image.new("RGB", size, colour(chance, 180, 255))
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        x, y, side = chance.randrange(size[0]), chance.randrange(size[1]), chance.randint(15, 160)
        box = (x, y, x + side, y + int(side * chance.uniform(0.4, 1.6)))
        match chance.choice(("ellipse", "rectangle", "arc")):
            case "ellipse":
                draw.ellipse(box, fill=colour(chance), outline="black", width=chance.randint(2, 8))
            case "rectangle":
                draw.rectangle(box, fill=colour(chance), outline="black", width=chance.randint(2, 8))
            case _:
                start, end = chance.randrange(360), chance.randrange(360)
                draw.arc(box, start, end, fill="black", width=chance.randint(2, 9))
    return image

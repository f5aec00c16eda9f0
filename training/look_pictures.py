"""The pictures that Smallsight-tiny-looks learns from and is measured on, and what is no drawing at all."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.evaluate import FIRST_SEED, THINGS_ONLY
from training.levels import LEVELS, Level
from training.look_texts import Shown, shown_in
from training.scenes import make_scene
from training.vocabulary import Split

ONE_LARGE = Level(8, (20, 30), 0, 1, (90, 170), ("plain", "gradient", "texture", "noise"), spoiling=0.3)
FOREIGN_SHARE = 0.08  # of training pictures: no drawings, so that what is no drawing matches no words
GRIDS = ((1, 1),) * 8 + ((2, 1), (1, 2))
HELD_OUT_SEED = FIRST_SEED + 5_000_000  # beyond those of other measurements


def drawings(first_seed: int, number: int, split: Split) -> Iterator[tuple[Image.Image, Shown]]:
    """Yield drawings of the levels that have questions; those of the test split are scenes of things."""
    for seed in range(first_seed, first_seed + number):
        rng = random.Random(f"looks {split} {seed}")
        if split == "test":
            scene = make_scene(seed, THINGS_ONLY, split)
        elif rng.random() < FOREIGN_SHARE:
            yield draw_foreign(rng), Shown((), (), ())
            continue
        else:
            scene = make_scene(seed, _level(rng), split, rng.choice(GRIDS))
        yield scene.image, shown_in(scene)


def _level(rng: random.Random) -> Level:
    return rng.choice((THINGS_ONLY, THINGS_ONLY, THINGS_ONLY, LEVELS[4], LEVELS[5], ONE_LARGE))


def draw_foreign(rng: random.Random) -> Image.Image:
    """Draw what is no drawing of known things: clouds of all sizes, overlapping leaves, lines of a page."""
    random_HW = np.random.default_rng(rng.getrandbits(64))
    side = 192
    kind = rng.choice(("clouds", "clouds", "leaves", "leaves", "page"))
    if kind == "clouds":
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
        frequency[0, 0] = 1 / side
        fall = rng.uniform(0.8, 2.2)
        planes = [
            np.fft.irfft2(
                np.fft.rfft2(random_HW.standard_normal((side, side))) / frequency**fall, s=(side, side)
            )
            for _ in range(4)
        ]
        mixing = random_HW.uniform(-1, 1, (3, 4)) + np.array([[2.0], [2.0], [2.0]]) * np.eye(1, 4)
        pixels = np.einsum("kc,chw->hwk", mixing, np.stack([one / one.std() for one in planes]))
        spread = rng.uniform(15, 60)
        pixels = pixels / pixels.std() * spread + np.array([rng.uniform(60, 190) for _ in range(3)])
        return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    image = Image.new("RGB", (side, side), tuple(rng.randint(0, 255) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    tone = [rng.randint(40, 215) for _ in range(3)]
    for _ in range(rng.randint(60, 500)):
        size = min(120, 3 * rng.paretovariate(1.3))
        x, y = rng.uniform(-20, side), rng.uniform(-20, side)
        colour = tuple(max(0, min(255, round(rng.gauss(one, 45)))) for one in tone)
        box = (x, y, x + size * rng.uniform(0.3, 2), y + size * rng.uniform(0.3, 2))
        if kind == "page" and rng.random() < 0.8:
            draw.line(
                (x, y, x + rng.uniform(5, 90), y + rng.uniform(-2, 2)), fill=colour, width=rng.randint(1, 4)
            )
        elif rng.random() < 0.5:
            draw.ellipse(box, fill=colour)
        else:
            points = [(x + rng.gauss(0, size), y + rng.gauss(0, size)) for _ in range(rng.randint(3, 6))]
            draw.polygon(points, fill=colour)
    if rng.random() < 0.7:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2.5)))
    noise = random_HW.normal(0, rng.uniform(0, 12), (side, side, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))

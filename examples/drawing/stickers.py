"""Pictures of pictograms from the split that Smallsight-tiny was not trained on (training/scenes.py)."""

from __future__ import annotations

from PIL import Image
from training.levels import Level
from training.scenes import make_scene

_THREE_TIMES = 3  # a tile's side and everything in it: the model is shown a third of this size
_THINGS = Level(
    4,
    (72, 96),
    1,
    3,
    (150, 270),
    ("plain", "gradient", "texture"),
    ("top", "bottom"),
    ("plain", "outline"),
)


def sticker(seed: int) -> Image.Image:
    """Draw the picture of a seed."""
    return make_scene(seed, _THINGS, "test", grid=(_THREE_TIMES, _THREE_TIMES)).image

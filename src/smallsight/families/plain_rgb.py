"""Converts an image of any mode to RGB as transformers does.

Models get images in which `smallsight.media` has already laid transparency on a ground that shows the
picture; this is for direct use of a processor, and for comparison with the reference.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["OpenedImage", "as_pillow", "on_white", "size_of"]

OpenedImage: TypeAlias = Image.Image | NDArray[np.uint8]
"""An image of any mode and size, or RGB pixels, uint8 [height, width, 3]."""


def size_of(image: OpenedImage) -> tuple[int, int]:
    """Return (width, height)."""
    return image.size if isinstance(image, Image.Image) else (image.shape[1], image.shape[0])


def as_pillow(image: OpenedImage) -> Image.Image:
    """Return an image of Pillow's, with a copy of the pixels if it was none."""
    return image if isinstance(image, Image.Image) else Image.fromarray(image)


def on_white(image: Image.Image) -> Image.Image:
    """Return the image as RGB, with transparency on white. Source: transformers 5.23, image_transforms."""
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return image if image.mode == "RGB" else image.convert("RGB")

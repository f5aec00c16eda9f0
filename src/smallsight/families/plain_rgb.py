"""Converts an image of any mode to RGB as transformers does.

Models get images in which `smallsight.media` has already laid transparency on a ground that shows the
picture; this is for direct use of a processor, and for comparison with the reference.
"""

from __future__ import annotations

from PIL import Image

__all__ = ["on_white"]


def on_white(image: Image.Image) -> Image.Image:
    """Return the image as RGB, with transparency on white. Source: transformers 5.23, image_transforms."""
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return image if image.mode == "RGB" else image.convert("RGB")

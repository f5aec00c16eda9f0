"""Noise, grain and shadows at the edges: what makes a drawn scene look as if a camera had taken it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

Plane = npt.NDArray[np.float64]


def clouds(width_px: int, height_px: int, cell_px: tuple[float, float], octaves: int, seed: int) -> Plane:
    """Return soft noise (height, width) in 0..1 whose largest blots are about ``cell_px`` (across, down)."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height_px, width_px))
    for octave in range(octaves):
        across = max(2, round(width_px / cell_px[0] * 2**octave))
        down = max(2, round(height_px / cell_px[1] * 2**octave))
        dots = Image.fromarray(rng.random((down, across)).astype(np.float32))
        grown = dots.resize((width_px, height_px), Image.Resampling.BICUBIC)
        total += np.asarray(grown, dtype=np.float64) * 0.5**octave
    low, high = total.min(), total.max()
    return np.asarray((total - low) / (high - low))


def veil(colour: tuple[int, int, int], strength_HW: Plane) -> Image.Image:
    """Return an RGBA image of one colour whose opacity (0..1) is given for each pixel."""
    height, width = strength_HW.shape
    image = Image.new("RGBA", (width, height), (*colour, 0))
    image.putalpha(Image.fromarray(np.round(np.clip(strength_HW, 0, 1) * 255).astype(np.uint8)))
    return image


def photograph(image: Image.Image, *, seed: int, grain: float = 5, edges: float = 0.25) -> Image.Image:
    """Return the picture with film grain (in levels of 255) and edges darkened by up to a share."""
    pixels_HWC = np.asarray(image.convert("RGB"), dtype=np.float64)
    height, width, _ = pixels_HWC.shape
    rng = np.random.default_rng(seed)
    dots_HW = rng.normal(0, grain, (height, width))
    across, down = np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None]
    light = 1 - edges * np.clip((across**2 + down**2) / 2, 0, 1) ** 1.5
    lit = pixels_HWC * light[..., None] + dots_HW[..., None]
    return Image.fromarray(np.clip(np.round(lit), 0, 255).astype(np.uint8))

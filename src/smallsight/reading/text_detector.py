"""Computes where an image has text, in parts when it is large or of little interest; the maps are one map.

So a line that tiles cut is one line again before anything is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.reading.closer_parts import Canvas, SeenPart, canvases_of, canvases_of_whole
from smallsight.reading.network_calls import FindText

__all__ = ["TextDetector"]

_GREY = 127


class TextDetector:
    """Runs the detection network; not thread-safe."""

    def __init__(self, find: FindText) -> None:
        self._find = find

    def probabilities(self, image: Image.Image, parts: Sequence[SeenPart] | None = None) -> NDArray[np.uint8]:
        """Return the map of a RGB image, [H, W], probabilities times 255; outside the parts it is 0."""
        width_px, height_px = image.size
        map_HW = np.zeros((height_px, width_px), np.uint8)
        for canvas in canvases_of_whole(image.size) if parts is None else canvases_of(parts):
            found_HW = self._run(image, canvas)
            for part, x, y in canvas.parts:
                taken, left, top = part.taken, x - part.seen.left, y - part.seen.top
                there_HW = map_HW[taken.top : taken.bottom, taken.left : taken.right]
                here_HW = found_HW[
                    top + taken.top : top + taken.bottom, left + taken.left : left + taken.right
                ]
                np.maximum(there_HW, here_HW, out=there_HW)  # parts may overlap
        return map_HW

    def _run(self, image: Image.Image, canvas: Canvas) -> NDArray[np.uint8]:
        pixels_HWC = np.full((canvas.height, canvas.width, 3), _GREY, np.uint8)
        for part, x, y in canvas.parts:
            seen = part.seen
            cut = image.crop((seen.left, seen.top, seen.right, seen.bottom))
            pixels_HWC[y : y + seen.height, x : x + seen.width] = np.asarray(cut)
        return self._find(pixels_HWC)

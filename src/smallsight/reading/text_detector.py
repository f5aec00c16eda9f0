"""Computes where an image has text, in tiles when it is large; the map of all tiles is one map.

So a line that tiles cut is one line again before anything is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from PIL import Image

__all__ = ["TILE_PX", "TextDetector"]

TILE_PX = 576
_OVERLAP_PX = 96  # of neighbouring tiles; half of it is taken from each
_MAX_SINGLE_INPUT_PIXELS = 576 * 576  # of an image that is detected in one input, not in tiles
_STEP_PX = 32  # the network's sides are multiples
_ROUNDED_PX = 64  # inputs are padded to these, so that there are few shapes
_GREY = 127


class TextDetector:
    """Runs the detection network; not thread-safe."""

    def __init__(self, network: ov.CompiledModel) -> None:
        self._request = network.create_infer_request()

    def probabilities(
        self, image: Image.Image, is_wanted: Callable[[tuple[int, int, int, int]], bool] | None = None
    ) -> NDArray[np.uint8]:
        """Return the map of a RGB image, [H, W], probabilities times 255.

        Tiles (left, top, right, bottom) that are not wanted stay 0.
        """
        width_px, height_px = image.size
        if width_px * height_px <= _MAX_SINGLE_INPUT_PIXELS:
            whole = (0, 0, width_px, height_px)
            if is_wanted is not None and not is_wanted(whole):
                return np.zeros((height_px, width_px), np.uint8)
            return self._run(np.asarray(image))
        map_HW = np.zeros((height_px, width_px), np.uint8)
        for top, bottom, inner_top, inner_bottom in _spans(height_px):
            for left, right, inner_left, inner_right in _spans(width_px):
                if is_wanted is not None and not is_wanted(
                    (inner_left, inner_top, inner_right, inner_bottom)
                ):
                    continue
                tile_HW = self._run(np.asarray(image.crop((left, top, right, bottom))))
                map_HW[inner_top:inner_bottom, inner_left:inner_right] = tile_HW[
                    inner_top - top : inner_bottom - top, inner_left - left : inner_right - left
                ]
        return map_HW

    def _run(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height_px, width_px = pixels_HWC.shape[:2]
        padded_NHWC = np.full((1, _rounded_up(height_px), _rounded_up(width_px), 3), _GREY, np.uint8)
        padded_NHWC[0, :height_px, :width_px] = pixels_HWC
        self._request.infer([padded_NHWC], share_inputs=True)
        found_HW = self._request.get_output_tensor(0).data[0, 0, :height_px, :width_px]
        map_HW: NDArray[np.uint8] = (found_HW * 255.0).astype(np.uint8)
        return map_HW


def _rounded_up(length_px: int) -> int:
    step = _STEP_PX if length_px <= 2 * _ROUNDED_PX else _ROUNDED_PX
    return max(step, -(-length_px // step) * step)


def _spans(length_px: int) -> list[tuple[int, int, int, int]]:
    """Return start and end of each tile, and of the part of the map that is taken from it."""
    if length_px <= TILE_PX:
        return [(0, length_px, 0, length_px)]
    num = math.ceil((length_px - _OVERLAP_PX) / (TILE_PX - _OVERLAP_PX))
    starts = [round(index * (length_px - TILE_PX) / (num - 1)) for index in range(num)]
    cuts = [
        0,
        *((one + TILE_PX + other) // 2 for one, other in pairwise(starts)),
        length_px,
    ]
    return [
        (start, start + TILE_PX, cut, next_cut)
        for start, (cut, next_cut) in zip(starts, pairwise(cuts), strict=True)
    ]

"""Plans how a picture is resized and cut into tiles; works on sizes only.

Source of the reference's rule: transformers 5.x, image_processing_pil_idefics3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from smallsight.families.messages import Detail

MAX_SIDE_PX = 4096


@dataclass(frozen=True, slots=True)
class TilePlan:
    """The (width, height) that a picture is resized to, one after the other, and its grid of tiles.

    A grid of 0 x 0 means one image of the whole and no tiles.
    """

    sizes: tuple[tuple[int, int], ...]
    rows: int
    columns: int

    @property
    def num_tiles(self) -> int:
        """Images that the vision tower encodes, including that of the whole."""
        return self.rows * self.columns + 1


def plan_tiles(size: tuple[int, int], detail: Detail, *, longest_px: int, tile_px: int) -> TilePlan:
    """Plan a picture of size (width, height); with splitting the reference scales it to ``longest_px``."""
    first = _fit_longest(size, longest_px)
    square = (tile_px, tile_px)
    if detail is Detail.LOW:
        return TilePlan((first, square), 0, 0)
    grid = _whole_tiles(first, tile_px)
    if detail is Detail.HIGH:
        columns, rows = grid[0] // tile_px, grid[1] // tile_px
        is_split = columns > 1 or rows > 1
        return TilePlan((first, grid), rows if is_split else 0, columns if is_split else 0)
    columns = min(max(1, size[0] // tile_px), grid[0] // tile_px)
    rows = min(max(1, size[1] // tile_px), grid[1] // tile_px)
    if columns == rows == 1:
        return TilePlan((square,), 0, 0)
    return TilePlan(((columns * tile_px, rows * tile_px),), rows, columns)


def _fit_longest(size: tuple[int, int], longest_px: int) -> tuple[int, int]:
    """Scale the longest side to ``longest_px``, the other in proportion to an even number, at least 1."""
    width, height = size
    ratio = width / height
    if width >= height:
        width = longest_px
        height = int(width / ratio)
        height += height % 2
    else:
        height = longest_px
        width = int(height * ratio)
        width += width % 2
    width, height = max(width, 1), max(height, 1)
    ratio = width / height
    if width >= height and width > MAX_SIDE_PX:
        width, height = MAX_SIDE_PX, int(MAX_SIDE_PX / ratio)
    elif height > width and height > MAX_SIDE_PX:
        width, height = int(MAX_SIDE_PX * ratio), MAX_SIDE_PX
    return max(width, 1), max(height, 1)


def _whole_tiles(size: tuple[int, int], tile_px: int) -> tuple[int, int]:
    """Round both sides up to whole tiles: the longer one first, then the other in proportion to it."""
    width, height = size
    ratio = width / height
    if width >= height:
        width = math.ceil(width / tile_px) * tile_px
        height = math.ceil(int(width / ratio) / tile_px) * tile_px
    else:
        height = math.ceil(height / tile_px) * tile_px
        width = math.ceil(int(height * ratio) / tile_px) * tile_px
    return max(width, 1), max(height, 1)

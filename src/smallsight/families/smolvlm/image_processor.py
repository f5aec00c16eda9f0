"""Cuts pictures into tiles and normalises their pixels for the vision tower.

Source: transformers 5.x, image_processing_pil_idefics3 and image_processing_pil_smolvlm, which are identical.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.families.messages import Detail, Tile, TiledPicture
from smallsight.families.patches import value_patches
from smallsight.families.pixel_values import value_tables
from smallsight.families.plain_rgb import OpenedImage, on_white, size_of
from smallsight.families.processor_files import picture_settings
from smallsight.families.smolvlm.tiling import TilePlan, plan_tiles
from smallsight.machine.cores import usable_cores
from smallsight.media.fast_resizing import resize_in_steps

DEFAULT_MEAN = DEFAULT_DEVIATION = (0.5, 0.5, 0.5)
_MOST_THREADS = 4


class ImageProcessor:
    """Cuts pictures according to a checkpoint's preprocessor configuration."""

    def __init__(self, described: Mapping[str, Any], path: Path) -> None:
        self._path = path
        self.tile_px = self._edge(described, "max_image_size", 364)
        self._longest_px = self._edge(described, "size", 4 * 364)
        self._splits = bool(described.get("do_image_splitting", True))
        self._resample = Image.Resampling(described.get("resample", Image.Resampling.LANCZOS))
        for step in ("do_resize", "do_rescale", "do_normalize", "do_convert_rgb"):
            if not described.get(step, True):
                raise ModelNotRunnableError(f"{path} turns {step} off, which is not supported.")
        self._tables = value_tables(described, path, DEFAULT_MEAN, DEFAULT_DEVIATION)
        self._threads = _started_threads(min(usable_cores(), _MOST_THREADS))

    @classmethod
    def load(cls, model_dir: Path) -> ImageProcessor:
        """Read the checkpoint's settings; raises BrokenCheckpointError or ModelNotRunnableError."""
        path, described = picture_settings(model_dir)
        return cls(described, path)

    def plan(self, size: tuple[int, int], detail: Detail) -> TilePlan:
        """Plan the tiles of a picture of size (width, height)."""
        if not self._splits:
            detail = Detail.LOW
        return plan_tiles(size, detail, longest_px=self._longest_px, tile_px=self.tile_px)

    def cut(self, image: OpenedImage, detail: Detail) -> TiledPicture:
        """Cut a picture into tiles, uint8 [tile_px, tile_px, 3] each."""
        rgb = on_white(image) if isinstance(image, Image.Image) else image
        plan = self.plan(size_of(rgb), detail)
        side = self.tile_px
        pixels_HWC = resize_in_steps(rgb, plan.sizes, self._resample)
        squares = [
            pixels_HWC[row * side : (row + 1) * side, column * side : (column + 1) * side]
            for row in range(plan.rows)
            for column in range(plan.columns)
        ]
        if not squares:
            return TiledPicture((tile_of(pixels_HWC),), plan.rows, plan.columns, size_of(image))
        # Digests take longer than resizing; hashlib and the extension let other threads run.
        whole = self._threads.submit(self._whole, pixels_HWC)
        tiles = (*self._threads.map(tile_of, squares), whole.result())
        return TiledPicture(tiles, plan.rows, plan.columns, size_of(image))

    def normalise(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return a tile's pixels as float32 [1, 3, height, width]."""
        planes = [table[pixels_HWC[..., channel]] for channel, table in enumerate(self._tables)]
        return np.stack(planes)[None]

    def to_patches(self, pixels_HWC: NDArray[np.uint8], patch_px: int) -> NDArray[np.float32]:
        """Return a tile's normalised pixels as patches, float32 [1, patches, 3 * patch_px**2]."""
        return value_patches(pixels_HWC, self._tables, patch_px)

    def _whole(self, pixels_HWC: NDArray[np.uint8]) -> Tile:
        return tile_of(resize_in_steps(pixels_HWC, [(self.tile_px, self.tile_px)], self._resample, threads=1))

    def _edge(self, described: Mapping[str, Any], name: str, default: int) -> int:
        given = described.get(name) or {"longest_edge": default}
        value = given.get("longest_edge") if isinstance(given, dict) else None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= 16_384:
            raise BrokenCheckpointError(
                f"{self._path} has {name} {given!r}, expected a longest_edge in pixels.",
                hint="fetch it again.",
            )
        return value


def tile_of(square_HWC: NDArray[np.uint8]) -> Tile:
    """Return a square as a tile; its digest is the SHA-256 of pixels and shape."""
    pixels_HWC = np.ascontiguousarray(square_HWC)
    digest = hashlib.sha256(pixels_HWC.data)
    digest.update(repr(pixels_HWC.shape).encode())
    return Tile(pixels_HWC, digest.digest())


def _started_threads(num: int) -> ThreadPoolExecutor:
    """Return running threads: Python 3.11 waits forever for one that ends at once for want of memory."""
    threads = ThreadPoolExecutor(num, "smallsight-tiles")
    everyone = Barrier(num)
    for waiting in [threads.submit(everyone.wait) for _ in range(num)]:
        waiting.result()
    return threads

"""Resizes, crops and normalises pictures as a dual encoder's published processor does.

Source: transformers 5.x, image_processing_pil_siglip and image_processing_pil_clip, which share their steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smallsight.errors import BrokenCheckpointError, ModelNotRunnableError
from smallsight.families.patches import value_patches
from smallsight.families.pixel_values import value_tables
from smallsight.families.plain_rgb import OpenedImage, on_white, size_of
from smallsight.families.processor_files import picture_settings
from smallsight.media.fast_resizing import resize_in_steps


@dataclass(frozen=True)
class PictureDefaults:
    """What a family's processor does where the checkpoint's file does not say."""

    size: Mapping[str, int]
    crop: bool
    mean: Sequence[float]
    deviation: Sequence[float]


class PicturePreparation:
    """Turns pictures into the input of the vision encoder."""

    def __init__(
        self, described: Mapping[str, Any], path: Path, defaults: PictureDefaults, sides: tuple[int, int]
    ) -> None:
        """``sides`` are those of a picture and of a patch, in pixels."""
        self._path = path
        self._image_px, self._patch_px = sides
        for step in ("do_resize", "do_rescale", "do_normalize"):
            if described.get(step, True) is False:
                raise ModelNotRunnableError(f"{path} turns {step} off, which is not supported.")
        crops = described.get("do_center_crop")
        self._crops = defaults.crop if crops is None else bool(crops)
        self._short_px = self._shortest_edge(described.get("size") or defaults.size)
        if self._crops:
            self._require_side(described.get("crop_size") or self._image_px)
        resample = described.get("resample")
        self._resample = Image.Resampling(Image.Resampling.BICUBIC if resample is None else resample)
        self._tables = value_tables(described, path, defaults.mean, defaults.deviation)
        self.identity = repr(
            (self._short_px, self._crops, self._resample, [table[[0, -1]].tolist() for table in self._tables])
        )

    @classmethod
    def load(cls, model_dir: Path, defaults: PictureDefaults, sides: tuple[int, int]) -> PicturePreparation:
        """Read the checkpoint's settings; raises BrokenCheckpointError or ModelNotRunnableError."""
        path, described = picture_settings(model_dir)
        return cls(described, path, defaults, sides)

    def patches(self, image: OpenedImage) -> NDArray[np.float32]:
        """Return a picture's patches, float32 [1, patches, 3 * patch_px**2]."""
        return value_patches(self._pixels(image), self._tables, self._patch_px)

    def pixel_values(self, image: OpenedImage) -> NDArray[np.float32]:
        """Return normalised pixels, float32 [1, 3, image_px, image_px]."""
        pixels_HWC = self._pixels(image)
        return np.stack([table[pixels_HWC[..., i]] for i, table in enumerate(self._tables)])[None]

    def _pixels(self, image: OpenedImage) -> NDArray[np.uint8]:
        rgb = on_white(image) if isinstance(image, Image.Image) else image
        # One thread, because several pictures are prepared at once.
        resized_HWC = resize_in_steps(rgb, [self._size_of(size_of(rgb))], self._resample, threads=1)
        return self._cropped(resized_HWC) if self._crops else resized_HWC

    def _size_of(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (width, height) after resizing: the short side that is asked for, or a square."""
        if self._short_px is None:
            return self._image_px, self._image_px
        short, long = min(size), max(size)
        longer = int(self._short_px * long / short)
        return (self._short_px, longer) if size[0] <= size[1] else (longer, self._short_px)

    def _cropped(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the middle, with black around what is smaller."""
        side = self._image_px
        missing = [max(0, side - length) for length in pixels_HWC.shape[:2]]
        before = [-(-each // 2) for each in missing]
        around = [(b, each - b) for b, each in zip(before, missing, strict=True)]
        padded = np.pad(pixels_HWC, [*around, (0, 0)])
        top, left = ((length - side) // 2 for length in padded.shape[:2])
        return padded[top : top + side, left : left + side]

    def _shortest_edge(self, size: object) -> int | None:
        """Return the length of the short side; None for a square of the network's size."""
        if isinstance(size, Mapping) and "shortest_edge" in size:
            size = size["shortest_edge"]
        if isinstance(size, int) and not isinstance(size, bool) and self._crops and 0 < size <= 16_384:
            return size
        self._require_side(size)
        return None

    def _require_side(self, size: object) -> None:
        given = (size.get("height"), size.get("width")) if isinstance(size, Mapping) else (size, size)
        if given != (self._image_px, self._image_px):
            raise BrokenCheckpointError(
                f"{self._path} makes pictures of {size!r}, but the network takes {self._image_px} pixels.",
                hint="config.json and the picture settings must belong together.",
            )

"""Finds where one picture lies in another, however small a part of it: by correlation at many scales.

Hashes of views find copies of which a little was cut off, or to which a little was added. Pictures that a
model finds alike may share less; this finds out which part, roughly. ``alignment`` does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

from smallsight.library.alike.alignment import Rect

__all__ = ["PlacedPart", "SearchedImage", "find_part"]

_SIDE_PX = 64  # of the longer side of the picture that is searched
_LEAST_SHARE, _STEP = 0.35, 1.06  # of a side that the part takes; from one scale to the next
_LEAST_PART_PX = 12
_LEAST_CORRELATION = 0.6
_LEAST_DEVIATION = 2.0  # grey values; anything is like a flat part


@dataclass(frozen=True, slots=True)
class PlacedPart:
    """Where a picture lies in another, in fractions of its sides, and the correlation there."""

    correlation: float
    rect: Rect


class SearchedImage:
    """A grey image, uint8 [height, width], prepared for searching it, and for being searched for."""

    def __init__(self, grey_HW: npt.NDArray[np.uint8]) -> None:
        self.image = Image.fromarray(grey_HW)
        scale = _SIDE_PX / max(self.image.size)
        size = (max(1, round(self.image.width * scale)), max(1, round(self.image.height * scale)))
        self.small: npt.NDArray[np.float32] = np.asarray(
            self.image.resize(size, Image.Resampling.BOX), np.float32
        )

    @cached_property
    def spectrum(self) -> npt.NDArray[np.complex128]:
        """The transform of the small image, less its mean, padded so that no part of it meets another."""
        return np.asarray(np.fft.rfft2(self.small - self.small.mean(), s=(2 * _SIDE_PX, 2 * _SIDE_PX)))

    @cached_property
    def sums(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The sums of the values, and of their squares, above and left of each pixel."""
        grey = self.small.astype(np.float64) - self.small.mean()
        return _summed(grey), _summed(grey**2)


def find_part(whole: SearchedImage, part: SearchedImage) -> PlacedPart | None:
    """Return where all of ``part`` lies in ``whole``; None if it seems to lie nowhere."""
    height, width = whole.small.shape
    ratio = part.image.height / part.image.width
    best: PlacedPart | None = None
    across = float(min(width, height / ratio))
    while across >= max(_LEAST_SHARE * min(width, height / ratio), _LEAST_PART_PX):
        size = round(across), round(across * ratio)
        if size[0] <= width and _LEAST_PART_PX <= size[1] <= height:
            found = _placed(whole, part, size)
            if found is not None and (best is None or found.correlation > best.correlation):
                best = found
        across /= _STEP
    return best if best is not None and best.correlation >= _LEAST_CORRELATION else None


def _placed(whole: SearchedImage, part: SearchedImage, size: tuple[int, int]) -> PlacedPart | None:
    """Return the best place of the part at one size, width and height in pixels of the small image."""
    sample = np.asarray(part.image.resize(size, Image.Resampling.BOX), np.float64)
    sample = sample - sample.mean()
    num_px = sample.size
    energy = float((sample**2).sum())
    if energy < num_px * _LEAST_DEVIATION**2:
        return None
    height, width = whole.small.shape
    down, across = height - size[1] + 1, width - size[0] + 1
    padded = (2 * _SIDE_PX, 2 * _SIDE_PX)
    products = np.fft.irfft2(whole.spectrum * np.conj(np.fft.rfft2(sample, s=padded)), s=padded)
    products = products[:down, :across]
    sums, squares = (_windows(one, size) for one in whole.sums)
    energies = squares - sums**2 / num_px
    is_flat = energies < num_px * _LEAST_DEVIATION**2
    correlations = np.where(is_flat, -1.0, products / np.sqrt(np.where(is_flat, 1.0, energies) * energy))
    row, column = np.unravel_index(int(np.argmax(correlations)), correlations.shape)
    rect = row / height, (row + size[1]) / height, column / width, (column + size[0]) / width
    return PlacedPart(float(correlations[row, column]), rect)


def _summed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    summed = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    np.cumsum(np.cumsum(values, axis=0), axis=1, out=summed[1:, 1:])
    return summed


def _windows(summed: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the sums over each window of a size, width and height."""
    width, height = size
    return np.asarray(
        summed[height:, width:]
        - summed[:-height, width:]
        - summed[height:, :-width]
        + summed[:-height, :-width]
    )

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
_PADDED = _SIDE_PX, _SIDE_PX
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
        self._samples: dict[tuple[int, int], npt.NDArray[np.uint8]] = {}
        scale = _SIDE_PX / max(self.image.size)
        size = (max(1, round(self.image.width * scale)), max(1, round(self.image.height * scale)))
        self.small: npt.NDArray[np.float32] = self.sample(size).astype(np.float32)

    def sample(self, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Return the image with this width and height; it is kept for the next search."""
        if size not in self._samples:
            self._samples[size] = np.asarray(self.image.resize(size, Image.Resampling.BOX))
        return self._samples[size]

    @cached_property
    def spectrum(self) -> npt.NDArray[np.complex64]:
        """The transform of the small image, less its mean.

        What lies in it meets no other part of it at any place that counts, so nothing is added around it.
        """
        return np.asarray(np.fft.rfft2(self.small - self.small.mean(), s=_PADDED))

    @cached_property
    def sums(self) -> npt.NDArray[np.float64]:
        """The sums of the values, and of their squares, above and left of each pixel: [2, rows, columns]."""
        grey = self.small.astype(np.float64) - self.small.mean()
        return np.stack([_summed(grey), _summed(grey**2)])


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """A part at the sizes that are tried, less its mean; ``sizes`` are width and height."""

    sizes: list[tuple[int, int]]
    values: npt.NDArray[np.float32]  # [sizes, 64, 64], zeros around each
    energies: list[float]


def find_part(whole: SearchedImage, part: SearchedImage) -> PlacedPart | None:
    """Return where all of ``part`` lies in ``whole``; None if it seems to lie nowhere."""
    samples = _samples_of(part, _sizes(whole, part))
    if not samples.sizes:
        return None
    products = np.fft.irfft2(whole.spectrum * np.conj(np.fft.rfft2(samples.values)), s=_PADDED)
    correlations = products / np.sqrt(_energies(whole, samples))
    # Of equal ones the largest part, the uppermost and leftmost place.
    index, row, column = np.unravel_index(int(np.argmax(correlations)), correlations.shape)
    best = float(correlations[index, row, column])
    if best < _LEAST_CORRELATION:
        return None
    height, width = whole.small.shape
    across, down = samples.sizes[index]
    rect = (
        float(row / height),
        float((row + down) / height),
        float(column / width),
        float((column + across) / width),
    )
    return PlacedPart(best, rect)


def _sizes(whole: SearchedImage, part: SearchedImage) -> list[tuple[int, int]]:
    """Return the sizes of the part that are tried, width and height in pixels of the small image."""
    height, width = whole.small.shape
    ratio = part.image.height / part.image.width
    sizes = []
    across = float(min(width, height / ratio))
    while across >= max(_LEAST_SHARE * min(width, height / ratio), _LEAST_PART_PX):
        size = round(across), round(across * ratio)
        if size[0] <= width and _LEAST_PART_PX <= size[1] <= height:
            sizes.append(size)
        across /= _STEP
    return sizes


def _samples_of(part: SearchedImage, sizes: list[tuple[int, int]]) -> _Samples:
    """Return the part at those sizes at which it is not flat."""
    values = np.zeros((len(sizes), *_PADDED), np.float32)
    kept: list[tuple[int, int]] = []
    energies: list[float] = []
    for size in sizes:
        sample = part.sample(size).astype(np.float32)
        sample -= sample.mean()
        energy = float(np.vdot(sample, sample))
        if energy >= sample.size * _LEAST_DEVIATION**2:
            values[len(kept), : size[1], : size[0]] = sample
            kept.append(size)
            energies.append(energy)
    return _Samples(kept, values[: len(kept)], energies)


def _energies(whole: SearchedImage, samples: _Samples) -> npt.NDArray[np.float32]:
    """Return what products are divided by at each place, squared; infinite where a part would not fit."""
    height, width = whole.small.shape
    energies = np.full(samples.values.shape, np.inf, np.float32)
    for index, (size, energy) in enumerate(zip(samples.sizes, samples.energies, strict=True)):
        num_px = size[0] * size[1]
        sums, squares = _windows(whole.sums, size)
        of_places = squares - sums**2 / num_px
        of_places[of_places < num_px * _LEAST_DEVIATION**2] = np.inf
        energies[index, : height - size[1] + 1, : width - size[0] + 1] = of_places * energy
    return energies


def _summed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    summed = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    np.cumsum(np.cumsum(values, axis=0), axis=1, out=summed[1:, 1:])
    return summed


def _windows(sums: npt.NDArray[np.float64], size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the sums over each window of a size, width and height."""
    width, height = size
    windows = sums[:, height:, width:] - sums[:, :-height, width:]
    windows -= sums[:, height:, :-width]
    windows += sums[:, :-height, :-width]
    return windows

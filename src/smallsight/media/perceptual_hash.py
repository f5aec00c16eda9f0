"""64-bit perceptual hashes of pictures and the distance between them, in numpy alone.

Both hashes use brightness only and survive re-encoding, resizing and small retouches. They do not
survive mirroring, rotation or strong cropping.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["dhash", "hamming_distance", "phash"]

_PHASH_SIDE = 32
_PHASH_FREQUENCIES = 8
_LUMA_RGB = np.array([0.299, 0.587, 0.114])


def phash(image: npt.NDArray[np.uint8]) -> int:
    """Return the DCT hash: which of the 8x8 lowest frequencies are above their median.

    ``image`` is grey HW or RGB HWC, of any size. The most significant bit is the mean brightness, then row by
    row. Coefficients are rounded, so that flat pictures hash alike instead of hashing rounding noise.
    """
    grey_32x32 = _shrink(_to_grey(image), _PHASH_SIDE, _PHASH_SIDE)
    dct = _dct_rows()
    low_frequencies = np.round(dct @ grey_32x32 @ dct.T, 3)
    return _bits_to_int(low_frequencies > np.median(low_frequencies))


def dhash(image: npt.NDArray[np.uint8]) -> int:
    """Return the gradient hash: in an 8-row, 9-column miniature, which pixels are darker than the next one.

    ``image`` is grey HW or RGB HWC, of any size. The most significant bit is the upper left corner.
    """
    grey_8x9 = np.round(_shrink(_to_grey(image), 8, 9), 3)
    return _bits_to_int(grey_8x9[:, :-1] < grey_8x9[:, 1:])


def hamming_distance(a: int, B_N: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Return how many of 64 bits differ between the hash ``a`` and each hash of ``B_N``; uint8 of shape N."""
    distances: npt.NDArray[np.uint8] = np.bitwise_count(B_N ^ np.uint64(a))
    return distances


def _to_grey(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    if image.ndim == 3:
        grey_HW: npt.NDArray[np.float64] = image @ _LUMA_RGB
        return grey_HW
    return image.astype(np.float64)


def _shrink(grey_HW: npt.NDArray[np.float64], height_px: int, width_px: int) -> npt.NDArray[np.float64]:
    rows = _area_weights(grey_HW.shape[0], height_px)
    columns = _area_weights(grey_HW.shape[1], width_px)
    shrunk: npt.NDArray[np.float64] = rows @ grey_HW @ columns.T
    return shrunk


@lru_cache(maxsize=16)
def _area_weights(num_in: int, num_out: int) -> npt.NDArray[np.float64]:
    """Return the matrix of shape [num_out, num_in] that averages over equal, possibly fractional, spans."""
    edges = np.linspace(0, num_in, num_out + 1)
    starts, ends = edges[:-1, None], edges[1:, None]
    pixels = np.arange(num_in)[None, :]
    overlaps = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None)
    weights: npt.NDArray[np.float64] = overlaps / overlaps.sum(axis=1, keepdims=True)
    return weights


@lru_cache(maxsize=1)
def _dct_rows() -> npt.NDArray[np.float64]:
    """Return the first rows of the orthonormal DCT-II, of shape [frequencies, samples]."""
    frequencies = np.arange(_PHASH_FREQUENCIES)[:, None]
    samples = np.arange(_PHASH_SIDE)[None, :]
    rows: npt.NDArray[np.float64] = np.cos(
        np.pi * frequencies * (2 * samples + 1) / (2 * _PHASH_SIDE)
    ) * np.sqrt(2 / _PHASH_SIDE)
    rows[0] /= np.sqrt(2)
    return rows


def _bits_to_int(bits_8x8: npt.NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits_8x8.ravel()).tobytes(), "big")

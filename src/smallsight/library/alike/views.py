"""Hashes several views of a picture, so that a copy with a border, a crop or a caption has one in common.

A view is a rectangle of the picture. Its hash holds the signs of its lowest frequencies, so that the hash of
a mirrored or turned picture is a permutation of the same bits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["FRAME", "NUM_WAYS", "VIEW_DTYPE", "oriented", "picture_views"]

FRAME, CROP = 0, 1  # a view of all that the picture shows, or of a part of it
RECT_STEPS = 256  # per side of the picture
VIEW_DTYPE = np.dtype([("kind", "u1"), ("rect", "<u2", (4,)), ("hash", "<u8")])  # rect: top bottom left right
NUM_WAYS = 8  # way % 4 quarter turns to the left, after mirroring if way >= 4

_SIDE = 32
_FREQUENCIES = 8
_LEAST_CONTRAST = 2.0  # standard deviation of grey values; flatter pictures have no hash worth comparing
_CROPS = (
    *((one, one, one, one) for one in (0.02, 0.04, 0.06, 0.08, 0.10)),
    *((0.09, 0.0, 0.0, 0.0), (0.0, 0.09, 0.0, 0.0), (0.0, 0.0, 0.09, 0.0), (0.0, 0.0, 0.0, 0.09)),
    *((0.09, 0.09, 0.0, 0.0), (0.0, 0.0, 0.09, 0.09)),
)
_MARGIN_RANGE, _MARGIN_STEP = 14, 10  # grey values, within one line of a margin and from its first line
_NEAR_GROUND = 16
_LEAST_EMPTY = 0.3  # of a line with text
_MOST_IN_BLOCK = 20  # lines of 64
_LEAST_LEFT = 0.45  # of a side, after margins and captions are taken off
_ViewRect = tuple[float, float, float, float]


def picture_views(grey_HW: npt.NDArray[np.uint8]) -> npt.NDArray[np.void]:
    """Return the views of a picture, ``VIEW_DTYPE`` [N], from a square grey miniature; none if it is flat."""
    grey = grey_HW.astype(np.float64)
    whole = (0.0, 1.0, 0.0, 1.0)
    trimmed = _without_margins(grey, whole)
    inner = _without_margins(grey, _without_captions(grey))
    frames = [whole]
    above, below = _num_in_block(grey), _num_in_block(grey[::-1])
    blocks = [_as_rect(above, 64, 0, 64, whole)] if above else []
    blocks += [_as_rect(0, 64 - below, 0, 64, whole)] if below else []
    for rect in (trimmed, inner, *(_without_margins(grey, block) for block in blocks)):
        if all(max(abs(a - b) for a, b in zip(rect, known, strict=True)) > 0.01 for known in frames):
            frames.append(rect)
    views = [(FRAME, rect) for rect in frames]
    views += [(CROP, _cropped(trimmed, crop)) for crop in _CROPS]
    hashed = [(kind, _steps(rect), _hash(grey, _steps(rect))) for kind, rect in views]
    return np.array([one for one in hashed if one[2] is not None], VIEW_DTYPE)


def oriented(hashes_N: npt.NDArray[np.uint64], way: int) -> npt.NDArray[np.uint64]:
    """Return the hashes that the pictures would have if they were mirrored and turned."""
    bits = np.unpackbits(hashes_N.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1).astype(bool)
    signs = bits.reshape(-1, _FREQUENCIES, _FREQUENCIES)
    odd = np.arange(_FREQUENCIES) % 2 == 1
    if way >= 4:
        signs = signs ^ odd
    for _ in range(way % 4):  # a turn to the left is a transposition, then upside down
        signs = signs.transpose(0, 2, 1) ^ odd[:, None]
    signs[:, 0, 0] = False
    return _packed(signs)


def _packed(signs: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    packed = np.packbits(signs.reshape(-1, 64), axis=1)
    return np.ascontiguousarray(packed).view(">u8")[:, 0].astype(np.uint64)


def _hash(grey: npt.NDArray[np.float64], steps: tuple[int, ...]) -> int | None:
    top, bottom, left, right = steps
    rows, columns = _transform(top, bottom), _transform(left, right)
    low = rows @ grey @ columns.T
    low[0, 0] = 0.0
    if np.sqrt((low**2).sum()) / _SIDE < _LEAST_CONTRAST:
        return None
    return int(_packed((low > 0)[None])[0])


@lru_cache(maxsize=4096)
def _transform(first: int, last: int) -> npt.NDArray[np.float64]:
    """Return float [frequencies, 64]: the lowest frequencies of 32 samples of a span of the miniature."""
    edges = np.linspace(first, last, _SIDE + 1) * 64 / RECT_STEPS
    pixels = np.arange(64)[None, :]
    starts, ends = edges[:-1, None], edges[1:, None]
    weights = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    samples = np.arange(_SIDE)[None, :]
    dct = np.cos(np.pi * np.arange(_FREQUENCIES)[:, None] * (2 * samples + 1) / (2 * _SIDE))
    dct *= np.sqrt(2 / _SIDE)
    dct[0] /= np.sqrt(2)
    transform: npt.NDArray[np.float64] = dct @ weights
    return transform


def _steps(rect: _ViewRect) -> tuple[int, ...]:
    return tuple(round(one * RECT_STEPS) for one in rect)


def _cropped(rect: _ViewRect, crop: _ViewRect) -> _ViewRect:
    top, bottom, left, right = rect
    height, width = bottom - top, right - left
    return (
        top + crop[0] * height,
        bottom - crop[1] * height,
        left + crop[2] * width,
        right - crop[3] * width,
    )


def _without_margins(grey: npt.NDArray[np.float64], rect: _ViewRect) -> _ViewRect:
    """Return the rectangle without lines of one colour at its sides."""
    top, bottom, left, right = (round(one * 64) for one in rect)
    for _ in range(2):  # a bar above may hide that the sides have one
        part = grey[top:bottom, left:right]
        above, below = _num_even(part), _num_even(part[::-1])
        before, behind = _num_even(part.T), _num_even(part.T[::-1])
        if above + below > (1 - _LEAST_LEFT) * part.shape[0]:
            above = below = 0
        if before + behind > (1 - _LEAST_LEFT) * part.shape[1]:
            before = behind = 0
        top, bottom, left, right = top + above, bottom - below, left + before, right - behind
    return _as_rect(top, bottom, left, right, rect)


def _num_even(lines: npt.NDArray[np.float64]) -> int:
    """Return how many of the first lines have one colour."""
    is_even = np.ptp(lines, axis=1) <= _MARGIN_RANGE
    is_even &= np.abs(lines.mean(axis=1) - lines[0].mean()) <= _MARGIN_STEP
    return int(np.argmin(is_even)) if not is_even.all() else len(lines)


def _without_captions(grey: npt.NDArray[np.float64]) -> _ViewRect:
    """Return the rectangle without strips of text on one colour at the top and the bottom."""
    above, below = _num_captioned(grey), _num_captioned(grey[::-1])
    if above + below > (1 - _LEAST_LEFT) * 64:
        above = below = 0
    return _as_rect(above, 64 - below, 0, 64, (0.0, 1.0, 0.0, 1.0))


def _num_in_block(lines: npt.NDArray[np.float64]) -> int:
    """Return how many of the first lines are a block of text, with what is empty above it.

    It ends where the ground is empty again: the picture below may have that ground as well.
    """
    is_near = np.abs(lines - np.median(lines[0])) <= _NEAR_GROUND
    is_empty = is_near.all(axis=1)
    if not is_empty[0] or is_empty.all():
        return 0
    begin = int(np.argmin(is_empty))
    end = begin + int(np.argmax(is_empty[begin:]))
    block = is_near[begin:end]
    is_text = block[:, [0, -1]].all() and (block.mean(axis=1) >= _LEAST_EMPTY).all()
    return end if begin < end <= _MOST_IN_BLOCK and is_text else 0


def _num_captioned(lines: npt.NDArray[np.float64]) -> int:
    ground = np.median(lines[0])
    is_near = np.abs(lines - ground) <= _NEAR_GROUND
    has_ends = is_near[:, :2].all(axis=1) & is_near[:, -2:].all(axis=1)
    is_strip = has_ends & (is_near.mean(axis=1) >= _LEAST_EMPTY)
    return int(np.argmin(is_strip)) if not is_strip.all() else 0


def _as_rect(top: int, bottom: int, left: int, right: int, outer: _ViewRect) -> _ViewRect:
    """Return fractions; a line where margin and picture mix is halved."""
    return (
        top / 64 + (1 / 128 if top > outer[0] * 64 else 0),
        bottom / 64 - (1 / 128 if bottom < outer[1] * 64 else 0),
        left / 64 + (1 / 128 if left > outer[2] * 64 else 0),
        right / 64 - (1 / 128 if right < outer[3] * 64 else 0),
    )

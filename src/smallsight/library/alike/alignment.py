"""Compares two pictures of which parts may show the same: aligns them, then looks where they differ.

Alignment is by least squares on brightness (Baker and Matthews' inverse form of Lucas and Kanade), with scale
and offset of both axes; a change of brightness and contrast does not count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "ComparableImage",
    "Comparison",
    "Rect",
    "Start",
    "compare",
    "frame_of",
    "oriented_image",
    "overlap",
    "start",
]

Rect = tuple[float, float, float, float]  # top, bottom, left, right as fractions of the sides
_Grey = npt.NDArray[np.float32]

_COARSE, _MIDDLE, _FINE = 24, 48, 96  # samples per side
_BLOCK = 8
_COARSE_ROUNDS, _MIDDLE_ROUNDS = 4, 3
_NOISE = 5.0  # grey values by which compression changes a block
_OF_ALL, _OF_BLOCK = 0.2, 0.5  # of the contrast of the picture and of the block, for a block to differ
_TONES = 33
_TONE_PLACES = np.linspace(0, (_FINE // 2) ** 2 - 1, _TONES).round().astype(np.intp)
_INSET = 0.03  # of a side: where a margin ends is not known to the line
_EDGE = 0.008  # of a side: the outermost pixels are mixed with what was beside them
_LEAST_PADDING_PX = 16
_REACH, _SETTLED, _MAX_STEP = 0.07, 0.001, 0.03  # of a side
_LEAST_GAIN = 0.2
_LEAST_AT_START, _LEAST_COARSE = 0.2, 0.4  # correlation of what is worth a closer look


@dataclass(frozen=True, slots=True)
class Start:
    """Where all of the second picture seems to lie in the first, from a few samples of a part."""

    correlation: float
    frame: Rect


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """How alike two pictures are where they overlap.

    ``correlation`` is that of all samples. ``differing`` is the share of blocks that differ beyond
    compression, and ``blocks_BB`` says which. ``frame`` is where all of the second picture lies in the first,
    in fractions of its sides; it may reach beyond. ``overlap`` is the part of the first that was compared.
    """

    correlation: float
    differing: float
    blocks_BB: npt.NDArray[np.bool_]
    frame: Rect
    overlap: Rect

    def differing_beside(self, rect: Rect) -> float:
        """Return the share of blocks that differ among those outside a part of the first picture."""
        place = (np.arange(len(self.blocks_BB)) + 0.5) / len(self.blocks_BB)
        down = self.overlap[0] + place * (self.overlap[1] - self.overlap[0])
        across = self.overlap[2] + place * (self.overlap[3] - self.overlap[2])
        is_inside = np.outer((down > rect[0]) & (down < rect[1]), (across > rect[2]) & (across < rect[3]))
        return 0.0 if is_inside.all() else float(self.blocks_BB[~is_inside].mean())


class ComparableImage:
    """A grey image [height, width] prepared for sampling."""

    def __init__(self, image: npt.NDArray[np.uint8]) -> None:
        self.image = image
        self._size = image.shape
        self._padding_px = max(_LEAST_PADDING_PX, math.ceil(_REACH * max(image.shape)) + 1)
        padded = np.pad(image, (self._padding_px, self._padding_px + 1), mode="edge")
        self._sums = np.zeros((padded.shape[0] + 1, padded.shape[1]), np.float32)  # of each column, downwards
        np.cumsum(padded, axis=0, out=self._sums[1:])

    def sample(self, rect: Rect | npt.NDArray[np.float64], side: int) -> _Grey:
        """Return the means of side x side equal parts of a rectangle, wherever ``_aligned`` moves it."""
        rows, row_shares, down = self._edges(0, rect[0], rect[1], side)
        columns, column_shares, across = self._edges(1, rect[2], rect[3], side)
        first, last = columns[0], columns[-1] + 2
        above = self._sums[rows, first:last]
        below = self._sums[rows + 1, first:last]
        below -= above
        below *= row_shares[:, None]
        above += below
        sums = np.zeros((side, last - first + 1), np.float32)
        np.cumsum(above[1:] - above[:-1], axis=1, out=sums[:, 1:])
        before = sums[:, columns - first]
        corners = before + column_shares * (sums[:, columns - first + 1] - before)
        means: _Grey = (corners[:, 1:] - corners[:, :-1]) * np.float32(1 / (down * across))
        return means

    def _edges(
        self, axis: int, first: float, last: float, num: int
    ) -> tuple[npt.NDArray[np.intp], _Grey, float]:
        """Return the pixel, and the share of it, where each of ``num`` parts begins, and a part's pixels."""
        num_px = self._size[axis]
        first_px, step_px = first * num_px + self._padding_px, (last - first) * num_px / num
        edges = first_px + step_px * np.arange(num + 1)
        whole = edges.astype(np.intp)
        return whole, (edges - whole).astype(np.float32), step_px


def oriented_image(image: npt.NDArray[np.uint8], way: int) -> npt.NDArray[np.uint8]:
    """Return the image mirrored and turned as ``views.oriented`` does with hashes."""
    return np.rot90(image[:, ::-1] if way >= 4 else image, way % 4)


def start(
    first: ComparableImage, first_rect: Rect, second: ComparableImage, second_rect: Rect
) -> Start | None:
    """Align a part of one picture with a part of another; None if they are nothing alike."""
    first_rect, second_rect = _inside(first_rect), _inside(second_rect)
    target = second.sample(second_rect, _COARSE)
    if _correlation(first.sample(first_rect, _COARSE), target) < _LEAST_AT_START:
        return None
    rect = _aligned(first, first_rect, target, _COARSE_ROUNDS)
    correlation = _correlation(first.sample(rect, _COARSE), target)
    return None if correlation < _LEAST_COARSE else Start(correlation, frame_of(rect, second_rect))


def frame_of(rect: Rect, part: Rect) -> Rect:
    """Return where all of the second picture lies in the first, whose ``part`` is at ``rect``."""
    down = (rect[1] - rect[0]) / (part[1] - part[0])
    across = (rect[3] - rect[2]) / (part[3] - part[2])
    top, left = rect[0] - part[0] * down, rect[2] - part[2] * across
    return top, top + down, left, left + across


def compare(first: ComparableImage, second: ComparableImage, frame: Rect) -> Comparison:
    """Compare two pictures, of which the second lies about at ``frame`` in the first, where they overlap."""
    ours, theirs = overlap(frame)
    target = second.sample(theirs, _MIDDLE)
    frame = frame_of(_aligned(first, ours, target, _MIDDLE_ROUNDS), theirs)
    ours, theirs = overlap(frame)
    correlation, blocks_BB = _differences(first.sample(ours, _FINE), second.sample(theirs, _FINE))
    return Comparison(correlation, float(blocks_BB.mean()), blocks_BB, frame, ours)


def overlap(frame: Rect) -> tuple[Rect, Rect]:
    """Return where the pictures overlap, in fractions of the first and of the second."""
    down, across = frame[1] - frame[0], frame[3] - frame[2]
    ours = (
        max(frame[0], 0.0) + _EDGE,
        min(frame[1], 1.0) - _EDGE,
        max(frame[2], 0.0) + _EDGE,
        min(frame[3], 1.0) - _EDGE,
    )
    theirs = (
        (ours[0] - frame[0]) / down,
        (ours[1] - frame[0]) / down,
        (ours[2] - frame[2]) / across,
        (ours[3] - frame[2]) / across,
    )
    return ours, theirs


def _aligned(first: ComparableImage, rect: Rect, target: _Grey, max_rounds: int) -> Rect:
    """Return the rectangle, moved to where the first picture is most like the samples [side, side]."""
    side = len(target)
    solver = _solver(target)
    begun = moved = np.array(rect)
    for _ in range(max_rounds):
        solved = solver @ first.sample(moved, side).ravel()
        if solved[4] < _LEAST_GAIN:
            break
        height, width = moved[1] - moved[0], moved[3] - moved[2]
        share = np.minimum(np.maximum(solved[:4] / solved[4], -_MAX_STEP), _MAX_STEP)
        step = share * (height, height, width, width)
        if np.abs(moved - step - begun).max() > _REACH:
            break
        moved = moved - step
        if np.abs(step).max() < _SETTLED:
            break
    return float(moved[0]), float(moved[1]), float(moved[2]), float(moved[3])


def _solver(target: _Grey) -> _Grey:
    """Return [6, side * side]: turns samples into moves of the four sides times the gain, gain and offset."""
    side = len(target)
    by_row, by_column = np.empty_like(target), np.empty_like(target)
    by_row[1:-1], by_column[:, 1:-1] = target[2:] - target[:-2], target[:, 2:] - target[:, :-2]
    by_row[0], by_row[-1] = 2 * (target[1] - target[0]), 2 * (target[-1] - target[-2])
    by_column[:, 0], by_column[:, -1] = 2 * (target[:, 1] - target[:, 0]), 2 * (target[:, -1] - target[:, -2])
    by_row *= side / 2
    by_column *= side / 2
    place = ((np.arange(side) + 0.5) / side).astype(np.float32)
    columns = np.empty((6, side, side), np.float32)
    np.multiply(by_row, place[:, None], out=columns[1])
    np.subtract(by_row, columns[1], out=columns[0])
    np.multiply(by_column, place, out=columns[3])
    np.subtract(by_column, columns[3], out=columns[2])
    columns[4], columns[5] = target - target.mean(), 1.0
    rows = columns.reshape(6, -1)
    normal = (rows @ rows.T).astype(np.float64)
    normal[np.arange(4), np.arange(4)] += 1e-4 * np.trace(normal[:4, :4]) + 1e-9
    normal[4, 4] += 1e-6
    return np.asarray(np.linalg.inv(normal).astype(np.float32) @ rows)


def _inside(rect: Rect) -> Rect:
    top, bottom, left, right = rect
    down, across = _INSET * (bottom - top), _INSET * (right - left)
    return top + down, bottom - down, left + across, right - across


def _differences(ours: _Grey, theirs: _Grey) -> tuple[float, npt.NDArray[np.bool_]]:
    """Return the correlation, and the differing blocks under the tone curve that fits better."""
    tones, other_tones = _tones(ours), _tones(theirs)
    blocks_BB = _differing(_with_tones(ours, tones, other_tones), theirs)
    if blocks_BB.any():
        other_BB = _differing(_with_tones(theirs, other_tones, tones), ours)
        blocks_BB = min(blocks_BB, other_BB, key=np.count_nonzero)
    return _correlation(ours, theirs), blocks_BB


def _correlation(ours: _Grey, theirs: _Grey) -> float:
    a, b = (ours - ours.mean()).ravel(), (theirs - theirs.mean()).ravel()
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / spread if spread > len(a) else 0.0


def _differing(ours: _Grey, theirs: _Grey) -> npt.NDArray[np.bool_]:
    """Return which blocks differ beyond compression."""
    a, b = ours - ours.mean(), theirs - theirs.mean()
    by_block, own = _block_means((a - b) ** 2), _block_means(b**2) - _block_means(b) ** 2
    contrast = float(np.sqrt(np.sqrt((a * a).mean() * (b * b).mean())))
    limit = np.maximum(max(_NOISE, _OF_ALL * contrast), _OF_BLOCK * np.sqrt(np.maximum(own, 0)))
    return np.asarray(by_block > limit**2)


def _block_means(samples: _Grey) -> _Grey:
    num = _FINE // _BLOCK
    by_row = samples.reshape(num, _BLOCK, _FINE).sum(axis=1)
    return np.asarray(by_row.reshape(num, num, _BLOCK).sum(axis=2) / _BLOCK**2)


def _with_tones(samples: _Grey, tones: _Grey, other_tones: _Grey) -> _Grey:
    """Return samples with the grey values ``tones`` replaced by the others, and those between likewise."""
    curve = np.interp(np.arange(256), tones, other_tones).astype(np.float32)
    return np.asarray(curve[np.clip(samples + 0.5, 0, 255).astype(np.intp)])


def _tones(samples: _Grey) -> _Grey:
    """Return the grey values at equal shares of all samples, from the least to the greatest."""
    ordered = np.sort(samples[::2, ::2], axis=None)
    return np.asarray(ordered[_TONE_PLACES])

"""Matrices of 8 or 4 bits per value with one 16-bit scale per group of a row.

A group is a run of values along the input axis of a linear layer, so that one large weight reduces the
precision of its neighbours only. Independent of the runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from smallsight.quant.codebooks import FP4_VALUES, NF4_VALUES, nearest_codes
from smallsight.quant.double_scales import round_scales
from smallsight.quant.int8_rows import LARGEST_CODE
from smallsight.quant.searched_scale import search_scales

GROUP_SIZES = (64, 32, 16, 8)
LARGEST_INT4 = 7
ROWS_AT_ONCE = 2048  # intermediate results take several times the memory of the matrix
SMALLEST_SCALE = np.finfo(np.float16).tiny


class Code(StrEnum):
    """What the codes of a group stand for."""

    INT8 = "int8"
    INT4 = "int4"
    NF4 = "nf4"
    FP4 = "fp4"

    @property
    def bits(self) -> int:
        """Bits per code."""
        return 8 if self is Code.INT8 else 4


@dataclass(frozen=True, eq=False)
class GroupedMatrix:
    """A matrix [rows, columns] as ``values of codes * scales``, group by group.

    ``codes`` is int8 [rows, groups, group] for 8 bits and uint8 [rows, groups, group / 2] for 4, with the
    even column in the low half of each byte. ``scales`` is float16 [rows, groups, 1]; a searched one may be
    negative.
    """

    codes: NDArray[np.int8] | NDArray[np.uint8]
    scales: NDArray[np.float16]
    code: Code
    group: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.scales.shape[0], self.scales.shape[1] * self.group

    @property
    def num_bytes(self) -> int:
        """Bytes of codes and scales."""
        return self.codes.nbytes + self.scales.nbytes


def group_size(columns: int, largest: int = GROUP_SIZES[0]) -> int | None:
    """Return the largest group size up to ``largest`` that divides the number of columns, or None."""
    sizes = (largest, *(size for size in GROUP_SIZES if size < largest))
    return next((size for size in sizes if columns % size == 0), None)


def quantize_groups(
    matrix: NDArray[np.float32],
    code: Code,
    group: int,
    *,
    is_searched: bool = False,
    is_double: bool = False,
) -> GroupedMatrix:
    """Quantise a finite matrix.

    Each group's scale fits its largest value to the largest code, and is first rounded up to 16 bits, so that
    the code stays in range: integers change no value by more than 0.51 scales, NF4 by 0.16, FP4 by 1.01. With
    ``is_searched``, for INT4, it is the scale with the smallest squared error instead. With ``is_double`` the
    scales are rounded to 8 bits in blocks (double quantisation).
    """
    pieces = [
        _quantize_rows(matrix[begin : begin + ROWS_AT_ONCE], code, group, is_searched=is_searched)
        for begin in range(0, len(matrix), ROWS_AT_ONCE)
    ]
    codes, scales = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return GroupedMatrix(codes, round_scales(scales) if is_double else scales, code, group)


def dequantize_groups(stored: GroupedMatrix) -> NDArray[np.float32]:
    """Return the matrix as float32 [rows, columns]."""
    values: NDArray[np.float32] = _VALUES[stored.code](stored.codes) * stored.scales.astype(np.float32)
    return values.reshape(stored.shape)


def _quantize_rows(
    matrix: NDArray[np.float32], code: Code, group: int, *, is_searched: bool
) -> tuple[NDArray[np.int8] | NDArray[np.uint8], NDArray[np.float16]]:
    rows, columns = matrix.shape
    groups = matrix.reshape(rows, columns // group, group)
    if is_searched:
        scales = search_scales(groups)
        return _pack(_integers(groups, scales, -LARGEST_INT4 - 1, LARGEST_INT4)), scales
    exact = np.abs(groups).max(axis=2, keepdims=True) / np.float32(_LARGEST[code])
    scales = _round_up(np.maximum(exact, SMALLEST_SCALE))
    if code in _CODEBOOKS:
        relative = np.divide(groups, scales, dtype=np.float32)
        return _pack(nearest_codes(relative, _CODEBOOKS[code])), scales
    largest = _LARGEST[code]
    codes = _integers(groups, scales, -largest, largest)
    return codes if code is Code.INT8 else _pack(codes), scales


def _integers(
    groups: NDArray[np.float32], scales: NDArray[np.float16], least: float, largest: float
) -> NDArray[np.int8]:
    return np.rint(groups / scales.astype(np.float32)).clip(least, largest).astype(np.int8)


def _round_up(scales: NDArray[np.float32]) -> NDArray[np.float16]:
    """Round up to float16; a scale beyond its range becomes the largest float16."""
    limit = np.finfo(np.float16).max
    nearest = np.minimum(scales, limit).astype(np.float16)
    return np.where(nearest.astype(np.float32) < scales, np.nextafter(nearest, limit), nearest)


def _pack(codes: NDArray[np.int8] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    halves = codes.view(np.uint8) & 0x0F
    packed: NDArray[np.uint8] = (halves[..., 0::2] | (halves[..., 1::2] << 4)).astype(np.uint8)
    return packed


def _signed_halves(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = np.empty((*packed.shape[:-1], packed.shape[-1] * 2), np.float32)
    values[..., 0::2] = (packed << 4).view(np.int8) >> 4
    values[..., 1::2] = packed.view(np.int8) >> 4
    return values


def _looked_up(book: NDArray[np.float32]) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    def values_of(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
        values = np.empty((*packed.shape[:-1], packed.shape[-1] * 2), np.float32)
        values[..., 0::2] = book[packed & 0x0F]
        values[..., 1::2] = book[packed >> 4]
        return values

    return values_of


_LARGEST = {
    Code.INT8: LARGEST_CODE,
    Code.INT4: LARGEST_INT4,
    Code.NF4: 1.0,
    Code.FP4: float(FP4_VALUES.max()),
}
_CODEBOOKS = {Code.NF4: NF4_VALUES, Code.FP4: FP4_VALUES}
_VALUES = {
    Code.INT8: lambda codes: codes.astype(np.float32),
    Code.INT4: _signed_halves,
    Code.NF4: _looked_up(NF4_VALUES),
    Code.FP4: _looked_up(FP4_VALUES),
}

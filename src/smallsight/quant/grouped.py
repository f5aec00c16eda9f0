"""Symmetric 8- and 4-bit quantisation with one 16-bit scale per group of a row.

A group is a run of values along the input axis of a linear layer, so that one large weight reduces the
precision of its neighbours only. Independent of the runtime.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smallsight.quant.int8_rows import LARGEST_CODE

Bits = Literal[8, 4]
GROUP_SIZES = (64, 32, 16, 8)
LARGEST_INT4 = 7
ROWS_AT_ONCE = 2048  # intermediate results take several times the memory of the matrix
_SMALLEST_SCALE = np.finfo(np.float16).tiny


@dataclass(frozen=True, eq=False)
class GroupedMatrix:
    """A matrix [rows, columns] as ``codes * scales``, group by group.

    ``codes`` is int8 [rows, groups, group] for 8 bits and uint8 [rows, groups, group / 2] for 4, with the
    even column in the low half of each byte. ``scales`` is float16 [rows, groups, 1].
    """

    codes: NDArray[np.int8] | NDArray[np.uint8]
    scales: NDArray[np.float16]
    bits: Bits
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
    """Return the largest group size that divides the number of columns, or None."""
    return next((size for size in (largest, *GROUP_SIZES) if columns % size == 0), None)


def quantize_groups(matrix: NDArray[np.float32], bits: Bits, group: int) -> GroupedMatrix:
    """Quantise a finite matrix; no value changes by more than 0.51 of its group's scale.

    The scale is first rounded up to 16 bits, so that the largest value's code stays in range.
    """
    pieces = [
        _quantize_rows(matrix[begin : begin + ROWS_AT_ONCE], bits, group)
        for begin in range(0, len(matrix), ROWS_AT_ONCE)
    ]
    codes, scales = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return GroupedMatrix(codes, scales, bits, group)


def _quantize_rows(
    matrix: NDArray[np.float32], bits: Bits, group: int
) -> tuple[NDArray[np.int8] | NDArray[np.uint8], NDArray[np.float16]]:
    rows, columns = matrix.shape
    groups = matrix.reshape(rows, columns // group, group)
    largest = LARGEST_CODE if bits == 8 else LARGEST_INT4
    exact = np.abs(groups).max(axis=2, keepdims=True) / np.float32(largest)
    scales = _round_up(np.maximum(exact, _SMALLEST_SCALE))
    codes = np.rint(groups / scales.astype(np.float32)).clip(-largest, largest).astype(np.int8)
    return codes if bits == 8 else _pack(codes), scales


def dequantize_groups(stored: GroupedMatrix) -> NDArray[np.float32]:
    """Return the matrix as float32 [rows, columns]."""
    codes = stored.codes if stored.bits == 8 else _unpack(stored.codes.view(np.uint8))
    values: NDArray[np.float32] = codes.astype(np.float32) * stored.scales.astype(np.float32)
    return values.reshape(stored.shape)


def _round_up(scales: NDArray[np.float32]) -> NDArray[np.float16]:
    """Round up to float16; a scale beyond its range becomes the largest float16."""
    limit = np.finfo(np.float16).max
    nearest = np.minimum(scales, limit).astype(np.float16)
    return np.where(nearest.astype(np.float32) < scales, np.nextafter(nearest, limit), nearest)


def _pack(codes: NDArray[np.int8]) -> NDArray[np.uint8]:
    halves = codes.view(np.uint8) & 0x0F
    packed: NDArray[np.uint8] = (halves[..., 0::2] | (halves[..., 1::2] << 4)).astype(np.uint8)
    return packed


def _unpack(packed: NDArray[np.uint8]) -> NDArray[np.int8]:
    codes = np.empty((*packed.shape[:-1], packed.shape[-1] * 2), np.int8)
    codes[..., 0::2] = (packed << 4).view(np.int8) >> 4
    codes[..., 1::2] = packed.view(np.int8) >> 4
    return codes

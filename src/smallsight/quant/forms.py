"""The forms in which a matrix can be stored: how each is made, and its size.

``scheme`` decides which module gets which form.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from smallsight.quant.bf16 import BF16Matrix, round_to_bf16, widen_bf16
from smallsight.quant.double_scales import double_scale_bytes
from smallsight.quant.grouped import Code, GroupedMatrix, dequantize_groups, group_size, quantize_groups
from smallsight.quant.int8_rows import Int8Rows, dequantize_rows, quantize_rows

WIDE_GROUP = 128
Stored = NDArray[np.float32] | Int8Rows | GroupedMatrix | BF16Matrix


class Storage(StrEnum):
    """A stored form of a matrix. Without a number, groups have 64 values.

    "searched" forms have the scale with the smallest error per group, "double" forms have scales of 8 bits.
    """

    FP32 = "fp32"
    BF16 = "bf16"
    INT8_ROWS = "int8-rows"
    INT8_GROUPS = "int8-groups"
    INT8_WIDE_GROUPS = "int8-groups-128"
    INT4_GROUPS = "int4-groups"
    INT4_NARROW_GROUPS = "int4-groups-32"
    INT4_WIDE_GROUPS = "int4-groups-128"
    INT4_SEARCHED = "int4-groups-searched"
    INT4_NARROW_SEARCHED = "int4-groups-32-searched"
    INT4_WIDE_SEARCHED = "int4-groups-128-searched"
    INT4_DOUBLE = "int4-groups-double"
    INT4_SEARCHED_DOUBLE = "int4-groups-searched-double"
    NF4 = "nf4"
    NF4_DOUBLE = "nf4-double"
    FP4 = "fp4"
    FP4_DOUBLE = "fp4-double"

    @property
    def bits(self) -> int:
        """Bits per value, without scales."""
        groups = _IN_GROUPS.get(self)
        return _BITS[self] if groups is None else groups.code.bits

    @property
    def is_integer(self) -> bool:
        """Whether values are codes with scales."""
        return self.bits <= 8

    @property
    def has_double_scales(self) -> bool:
        """Whether scales are rounded to 8 bits; this engine holds them in 16 bits all the same."""
        groups = _IN_GROUPS.get(self)
        return groups is not None and groups.is_double

    def store(self, matrix: NDArray[np.float32]) -> Stored:
        """Convert a matrix [outputs, inputs]; one whose rows no group divides gets one 8-bit scale a row."""
        if self is Storage.FP32:
            return matrix
        if self is Storage.BF16:
            return round_to_bf16(matrix)
        groups = _IN_GROUPS.get(self)
        group = None if groups is None else group_size(matrix.shape[1], groups.largest)
        if groups is None or group is None:
            return quantize_rows(matrix)
        return quantize_groups(
            matrix, groups.code, group, is_searched=groups.is_searched, is_double=groups.is_double
        )

    def stored_as(self, columns: int) -> str:
        """Return what becomes of rows of this length: forms with the same text store the same values."""
        if self.is_integer:
            groups = _IN_GROUPS.get(self)
            group = None if groups is None else group_size(columns, groups.largest)
            if groups is None or group is None:
                return Storage.INT8_ROWS
            return f"{groups.code}-{group}{'-searched' * groups.is_searched}{'-double' * groups.is_double}"
        return self

    def matrix_bytes(self, rows: int, columns: int, *, as_published: bool = False) -> int:
        """Return the bytes of a stored matrix [rows, columns] with its scales.

        ``as_published`` counts the scales of double quantisation as 8 bits, as a format that has them does.
        """
        groups = _IN_GROUPS.get(self)
        group = None if groups is None else group_size(columns, groups.largest)
        if groups is None or group is None:
            bits = 8 if self.is_integer else self.bits
            return rows * columns * bits // 8 + (4 * rows if self.is_integer else 0)
        num_scales = rows * columns // group
        scales_bytes = double_scale_bytes(num_scales) if groups.is_double and as_published else 2 * num_scales
        return rows * columns * groups.code.bits // 8 + scales_bytes


@dataclass(frozen=True)
class _Groups:
    code: Code
    largest: int = 64
    is_searched: bool = False
    is_double: bool = False


_BITS = {Storage.FP32: 32, Storage.BF16: 16, Storage.INT8_ROWS: 8}
_IN_GROUPS = {
    Storage.INT8_GROUPS: _Groups(Code.INT8),
    Storage.INT8_WIDE_GROUPS: _Groups(Code.INT8, WIDE_GROUP),
    Storage.INT4_GROUPS: _Groups(Code.INT4),
    Storage.INT4_NARROW_GROUPS: _Groups(Code.INT4, 32),
    Storage.INT4_WIDE_GROUPS: _Groups(Code.INT4, WIDE_GROUP),
    Storage.INT4_SEARCHED: _Groups(Code.INT4, is_searched=True),
    Storage.INT4_NARROW_SEARCHED: _Groups(Code.INT4, 32, is_searched=True),
    Storage.INT4_WIDE_SEARCHED: _Groups(Code.INT4, WIDE_GROUP, is_searched=True),
    Storage.INT4_DOUBLE: _Groups(Code.INT4, is_double=True),
    Storage.INT4_SEARCHED_DOUBLE: _Groups(Code.INT4, is_searched=True, is_double=True),
    Storage.NF4: _Groups(Code.NF4),
    Storage.NF4_DOUBLE: _Groups(Code.NF4, is_double=True),
    Storage.FP4: _Groups(Code.FP4),
    Storage.FP4_DOUBLE: _Groups(Code.FP4, is_double=True),
}


@dataclass(frozen=True, slots=True)
class StoredForm:
    """A stored matrix's form and its shape [outputs, inputs]."""

    name: str
    shape: tuple[int, int]


def form_of(stored: Stored) -> StoredForm | None:
    """Return a matrix's form and shape; None for vectors."""
    if isinstance(stored, GroupedMatrix):
        return StoredForm(f"{stored.code}-groups-{stored.group}", stored.shape)
    name, values = (
        ("int8-rows", stored.codes)
        if isinstance(stored, Int8Rows)
        else ("bf16", stored.bf16_bits)
        if isinstance(stored, BF16Matrix)
        else ("fp32", stored)
    )
    return StoredForm(name, (values.shape[0], values.shape[1])) if values.ndim == 2 else None


def dense(stored: Stored) -> NDArray[np.float32]:
    """Return a weight's values, float32."""
    if isinstance(stored, GroupedMatrix):
        return dequantize_groups(stored)
    if isinstance(stored, Int8Rows):
        return dequantize_rows(stored)
    if isinstance(stored, BF16Matrix):
        return widen_bf16(stored)
    return np.asarray(stored, np.float32)


def first_rows(stored: Stored, num_rows: int) -> Stored:
    """Return views of a matrix's first ``num_rows`` outputs."""
    if isinstance(stored, GroupedMatrix):
        return GroupedMatrix(stored.codes[:num_rows], stored.scales[:num_rows], stored.code, stored.group)
    if isinstance(stored, Int8Rows):
        return Int8Rows(stored.codes[:num_rows], stored.scales[:num_rows])
    if isinstance(stored, BF16Matrix):
        return BF16Matrix(stored.bf16_bits[:num_rows])
    return stored[:num_rows]

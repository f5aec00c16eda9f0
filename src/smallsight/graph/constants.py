"""Numbers and stored matrices as nodes of a network."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops
from openvino.op import Constant


class Int8Matrix(Protocol):
    """What a matrix in int8 with one scale per row offers: codes [rows, columns], scales [rows, 1]."""

    @property
    def codes(self) -> NDArray[np.int8]:
        """The integers."""

    @property
    def scales(self) -> NDArray[np.float32]:
        """What each row's integers are multiplied by."""


@runtime_checkable
class GroupedCodes(Protocol):
    """What a matrix in groups along its rows offers; see ``smallsight.quant.grouped``."""

    @property
    def codes(self) -> NDArray[np.int8] | NDArray[np.uint8]:
        """The integers [rows, groups, group], two to a byte when they have 4 bits."""

    @property
    def scales(self) -> NDArray[np.float16]:
        """What each group's integers are multiplied by, [rows, groups, 1]."""

    @property
    def bits(self) -> int:
        """8 or 4."""

    @property
    def group(self) -> int:
        """Values that share a scale."""


@runtime_checkable
class BF16Bits(Protocol):
    """What a matrix of bfloat16 numbers offers: their bits, uint16."""

    @property
    def bf16_bits(self) -> NDArray[np.uint16]:
        """The numbers' bits."""


StoredMatrix = NDArray[np.float32] | Int8Matrix | GroupedCodes | BF16Bits


def integers(*values: int) -> Node:
    """Return a vector of shape or axis numbers."""
    return ops.constant(np.array(values, dtype=np.int64))


def scalar(value: float) -> Node:
    """Return one float32 number."""
    return ops.constant(np.float32(value))


def along_last(values: NDArray[np.float32], hidden: Node | ov.Output) -> Node:
    """Return a vector that meets the last axis of ``hidden``, with as many axes."""
    shape = (
        hidden.get_partial_shape() if isinstance(hidden, ov.Output) else hidden.get_output_partial_shape(0)
    )
    return ops.constant(values.reshape(*[1] * (shape.rank.get_length() - 1), -1))


def matrix(stored: StoredMatrix) -> Node:
    """Return a stored matrix as float32 [rows, columns].

    The chains behind the codes are what the CPU plugin recognises: it keeps the codes in memory and fuses the
    scaling into the matrix product that follows. Groups and bfloat16 are not copied: whoever made them keeps
    them for as long as the compiled network lives.
    """
    if isinstance(stored, np.ndarray):
        return ops.constant(stored)
    if isinstance(stored, GroupedCodes):
        return _grouped(stored)
    if isinstance(stored, BF16Bits):
        return ops.convert(bf16_matrix(stored), "f32")
    return ops.multiply(ops.convert(ops.constant(stored.codes), "f32"), ops.constant(stored.scales))


def bf16_matrix(stored: BF16Bits) -> Node:
    """Return a stored matrix as the bfloat16 numbers that it is."""
    return _shared(ov.Tensor(stored.bf16_bits, ov.Shape(list(stored.bf16_bits.shape)), ov.Type.bf16))


def _grouped(stored: GroupedCodes) -> Node:
    rows, groups, _ = stored.scales.shape
    shape = ov.Shape([rows, groups, stored.group])
    kind = ov.Type.i8 if stored.bits == 8 else ov.Type.i4
    codes = ops.convert(_shared(ov.Tensor(stored.codes, shape, kind)), "f16")
    scaled = ops.multiply(codes, ops.constant(stored.scales))
    return ops.convert(ops.reshape(scaled, integers(rows, groups * stored.group), special_zero=False), "f32")


def _shared(tensor: ov.Tensor) -> Node:
    """Return a constant that reads the tensor's memory, which must outlive the compiled network."""
    return Constant(tensor, shared_memory=True)

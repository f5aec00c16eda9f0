"""Constants of a network: numbers and stored matrices as nodes."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops
from openvino.op import Constant


class Int8Matrix(Protocol):
    """An int8 matrix with one scale per row: codes [rows, columns], scales [rows, 1]."""

    @property
    def codes(self) -> NDArray[np.int8]:
        """The integers."""

    @property
    def scales(self) -> NDArray[np.float32]:
        """The factor of each row's integers."""


@runtime_checkable
class GroupedCodes(Protocol):
    """A matrix quantised in groups along its rows; see ``smallsight.quant.grouped``."""

    @property
    def codes(self) -> NDArray[np.int8] | NDArray[np.uint8]:
        """The codes [rows, groups, group], two per byte at 4 bits."""

    @property
    def scales(self) -> NDArray[np.float16]:
        """The factor of each group's values, [rows, groups, 1]."""

    @property
    def code(self) -> str:
        """What the codes stand for: "int8", "int4", "nf4" or "fp4"."""

    @property
    def group(self) -> int:
        """The number of values that share a scale."""


@runtime_checkable
class BF16Bits(Protocol):
    """A matrix of bfloat16 numbers, stored as their bits."""

    @property
    def bf16_bits(self) -> NDArray[np.uint16]:
        """The numbers' bits, uint16."""


_CODES = {"int8": ov.Type.i8, "int4": ov.Type.i4, "nf4": ov.Type.nf4, "fp4": ov.Type.f4e2m1}
StoredMatrix = NDArray[np.float32] | Int8Matrix | GroupedCodes | BF16Bits


def integers(*values: int) -> Node:
    """Return an int64 vector, for shapes and axes."""
    return ops.constant(np.array(values, dtype=np.int64))


def scalar(value: float) -> Node:
    """Return a float32 scalar."""
    return ops.constant(np.float32(value))


def along_last(values: NDArray[np.float32], hidden: Node | ov.Output) -> Node:
    """Return a vector reshaped to broadcast along the last axis of ``hidden``."""
    shape = (
        hidden.get_partial_shape() if isinstance(hidden, ov.Output) else hidden.get_output_partial_shape(0)
    )
    return ops.constant(values.reshape(*[1] * (shape.rank.get_length() - 1), -1))


def matrix(stored: StoredMatrix) -> Node:
    """Return a stored matrix as float32 [rows, columns].

    The CPU plugin recognises these chains of operations: it keeps the codes in memory and fuses the scaling
    into the following matrix product. Only int8 rows are copied: the memory of groups and of bfloat16 must
    outlive the compiled network, and writable float32 arrays are kept by their node.
    """
    if isinstance(stored, np.ndarray):
        return ops.constant(stored, shared_memory=stored.flags.writeable)  # it refuses to share others
    if isinstance(stored, GroupedCodes):
        return _grouped(stored)
    if isinstance(stored, BF16Bits):
        return ops.convert(bf16_matrix(stored), "f32")
    return ops.multiply(ops.convert(ops.constant(stored.codes), "f32"), ops.constant(stored.scales))


def bf16_matrix(stored: BF16Bits) -> Node:
    """Return a stored matrix as bfloat16, without a copy."""
    return _shared(ov.Tensor(stored.bf16_bits, ov.Shape(list(stored.bf16_bits.shape)), ov.Type.bf16))


def _grouped(stored: GroupedCodes) -> Node:
    rows, groups, _ = stored.scales.shape
    shape = ov.Shape([rows, groups, stored.group])
    codes = ops.convert(_shared(ov.Tensor(stored.codes, shape, _CODES[stored.code])), "f16")
    scaled = ops.multiply(codes, ops.constant(stored.scales))
    return ops.convert(ops.reshape(scaled, integers(rows, groups * stored.group), special_zero=False), "f32")


def _shared(tensor: ov.Tensor) -> Node:
    """Return a constant that reads the tensor's memory, which must outlive the compiled network."""
    return Constant(tensor, shared_memory=True)

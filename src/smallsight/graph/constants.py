"""Numbers and stored matrices as nodes of a network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from openvino import Node
from openvino import opset15 as ops


class Int8Matrix(Protocol):
    """What a matrix in int8 with one scale per row offers: codes [rows, columns], scales [rows, 1]."""

    @property
    def codes(self) -> NDArray[np.int8]:
        """The integers."""

    @property
    def scales(self) -> NDArray[np.float32]:
        """What each row's integers are multiplied by."""


StoredMatrix = NDArray[np.float32] | Int8Matrix


def integers(*values: int) -> Node:
    """Return a vector of shape or axis numbers."""
    return ops.constant(np.array(values, dtype=np.int64))


def scalar(value: float) -> Node:
    """Return one float32 number."""
    return ops.constant(np.float32(value))


def matrix(stored: StoredMatrix) -> Node:
    """Return a stored matrix as float32 [rows, columns].

    The chain convert, multiply behind int8 codes is what the CPU plugin recognises: it keeps the codes in
    memory and fuses the scaling into the matrix product that follows.
    """
    if isinstance(stored, np.ndarray):
        return ops.constant(stored)
    return ops.multiply(ops.convert(ops.constant(stored.codes), "f32"), ops.constant(stored.scales))

"""Symmetric int8 quantisation with one scale per row.

Rows are output channels of a linear layer or words of an embedding table. Independent of the runtime.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LARGEST_CODE = 127


@dataclass(frozen=True, eq=False)
class Int8Rows:
    """A matrix as ``codes * scales``: codes int8 [rows, columns], scales float32 [rows, 1]."""

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]


def quantize_rows(matrix: NDArray[np.float32]) -> Int8Rows:
    """Quantise a finite matrix; no value changes by more than half of its row's scale."""
    scales = np.abs(matrix).max(axis=1, keepdims=True) / np.float32(LARGEST_CODE)
    scales[scales < np.finfo(np.float32).tiny] = 1.0  # rows of zeros, or too small to divide exactly
    codes = np.rint(matrix / scales).clip(-LARGEST_CODE, LARGEST_CODE)
    return Int8Rows(codes.astype(np.int8), scales.astype(np.float32))


def dequantize_rows(stored: Int8Rows) -> NDArray[np.float32]:
    """Return the matrix as float32."""
    return stored.codes * stored.scales

"""bfloat16 in numpy: the upper 16 bits of a float32, as uint16."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_HALF = np.uint32(0x7FFF)
_VALUES_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class BF16Matrix:
    """A bfloat16 matrix as bits, uint16 of any shape."""

    bf16_bits: NDArray[np.uint16]


def round_to_bf16(values: NDArray[np.float32]) -> BF16Matrix:
    """Round finite numbers to the nearest bfloat16, ties to even; relative error at most 2**-8."""
    whole = np.ascontiguousarray(values).view(np.uint32).reshape(-1)
    bits = np.empty(whole.shape, np.uint16)
    for begin in range(0, len(whole), _VALUES_AT_ONCE):  # at once it would take several times the memory
        piece = whole[begin : begin + _VALUES_AT_ONCE]
        bits[begin : begin + _VALUES_AT_ONCE] = (piece + _HALF + ((piece >> 16) & 1)) >> 16
    return BF16Matrix(bits.reshape(values.shape))


def widen_bf16(stored: BF16Matrix) -> NDArray[np.float32]:
    """Return the exact values as float32."""
    return (stored.bf16_bits.astype(np.uint32) << 16).view(np.float32)

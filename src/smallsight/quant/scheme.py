"""Which form a matrix is stored in at each precision."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smallsight.quant.int8_rows import Int8Rows, quantize_rows

Precision = Literal["fp32", "int8"]


def store_matrix(matrix: NDArray[np.float32], precision: Precision) -> NDArray[np.float32] | Int8Rows:
    """Return the matrix as it is (fp32) or as rows of int8."""
    return quantize_rows(matrix) if precision == "int8" else matrix

from __future__ import annotations

import numpy as np

from smallsight.quant.int8_rows import Int8Rows
from smallsight.quant.scheme import store_matrix


def test_fp32_keeps_the_matrix_and_int8_takes_a_quarter_of_its_bytes():
    matrix = np.random.default_rng(0).standard_normal((8, 400)).astype(np.float32)
    assert store_matrix(matrix, "fp32") is matrix
    stored = store_matrix(matrix, "int8")
    assert isinstance(stored, Int8Rows)
    assert stored.codes.nbytes * 4 == matrix.nbytes

"""Multiplies vectors of 8 bits with queries in the runtime, which decodes them while it multiplies.

Half as much processor time as with numpy, and three queries at once take little more than one; compiling
takes a second, so it is for a process that answers many.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

from smallsight.graph.compiled import compile_network

_TUNING = {"DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}  # the query is not rounded


def compile_product(
    codes_ND: NDArray[np.int8], scales_N: NDArray[np.float32]
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return a function from vectors, float32 [B, D], to their products with all rows, float32 [B, N].

    It may be called from any thread; calls take turns.
    """
    network = compile_network(lambda: _graph(codes_ND, scales_N), threads=1, tuning=_TUNING)
    request, turn = network.model.create_infer_request(), threading.Lock()

    def times(queries_BD: NDArray[np.float32]) -> NDArray[np.float32]:
        with turn:
            request.infer([np.ascontiguousarray(queries_BD, np.float32)])
            products_BN: NDArray[np.float32] = request.get_output_tensor(0).data.copy()
            return products_BN

    return times


def _graph(codes_ND: NDArray[np.int8], scales_N: NDArray[np.float32]) -> ov.Model:
    queries_BD = op.parameter([-1, codes_ND.shape[1]], np.float32)
    codes = op.convert(op.constant(np.ascontiguousarray(codes_ND), shared_memory=True), np.float32)
    rows_ND = op.multiply(codes, op.constant(np.ascontiguousarray(scales_N[:, None])))
    return ov.Model([op.matmul(queries_BD, rows_ND, transpose_a=False, transpose_b=True)], [queries_BD])

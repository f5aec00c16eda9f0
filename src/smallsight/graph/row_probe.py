"""Measures the row counts at which matrix products change bitwise on this machine.

OpenVINO picks kernels by the number of rows, differently on every processor: with AMX 1 to 4 rows and 5 or
more, with AVX2 1, 2 to 80, and 81 or more (openvino 2026.4.1, weights of 8 and 4 bits). It has no interface
to query this, so it is measured once per processor, runtime, thread count and shape, and stored in the data
folder.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset15 as ops

from smallsight.graph.compiled import compile_network
from smallsight.graph.constants import StoredMatrix
from smallsight.graph.known_bands import RowProbe, bands_key, read_bands, write_bands
from smallsight.graph.linear import linear
from smallsight.policy.log import get_logger
from smallsight.policy.row_bands import RowBands

log = get_logger(__name__)

SAMPLED_ROWS = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 32, 33, 64, 80, 81, 128, 129, 256, 257, 512, 768)
NUM_REPEATED = 16  # rows; a divisor of the most sampled ones
MOST_OUTPUTS = 2048  # more outputs are only more blocks of the same kernel


@dataclass(frozen=True, slots=True)
class ProbedMatrix:
    """A stored matrix [outputs, inputs]; its form and shape identify the measurement."""

    form: str
    shape: tuple[int, int]
    stored: StoredMatrix


_TURN = threading.Lock()
_MEASURED: dict[tuple[str, str], RowProbe] = {}  # in this process, even where nothing can be written


def probe_rows(
    matrices: Iterable[ProbedMatrix],
    *,
    threads: int,
    tuning: Mapping[str, str | int],
    prepared_dir: Path | None = None,
) -> RowProbe:
    """Return the bands that hold for all of these matrices, measuring those not known yet.

    ``tuning`` and ``threads`` are those of the network that uses them. A measurement takes 0.01 to 2 seconds
    per shape.
    """
    machine = bands_key(threads, tuning)
    found = RowProbe()
    with _TURN:
        known = {} if prepared_dir is None else read_bands(prepared_dir, threads, tuning)
        num_known = len(known)
        for matrix in matrices:
            name = f"{matrix.form} {matrix.shape[0]}x{matrix.shape[1]}"
            if name not in known:
                known[name] = _MEASURED.get((machine, name)) or _measure(matrix, threads, tuning)
            _MEASURED[machine, name] = known[name]
            found = found.joined(known[name])
        if prepared_dir is not None and len(known) > num_known:
            write_bands(prepared_dir, threads, tuning, known)
    if not found.holds:
        log.warning("answers_depend_on_company", machine=machine, action="identical questions are not reused")
    return found


def bands_of(product: Callable[[NDArray[np.float32]], NDArray[np.float32]], num_inputs: int) -> RowProbe:
    """Measure a product: float32 [rows, inputs] to float32 [rows, outputs].

    Several rows are compared: where results are rounded to bfloat16, another kernel may change no bit of one.
    """
    rows_TI = np.random.default_rng(0).standard_normal((max(SAMPLED_ROWS), num_inputs), np.float32)

    def results(num_rows: int) -> tuple[NDArray[np.float32], bool]:
        """Return the first rows' results in calls of this size, and whether the last one's place matters."""
        found, holds = [], True
        for begin in range(0, NUM_REPEATED, num_rows):
            given = rows_TI[begin : begin + num_rows].copy()
            if num_rows > NUM_REPEATED:
                given[-1] = given[0]
            result = product(given)
            holds = holds and (num_rows <= NUM_REPEATED or np.array_equal(result[0], result[-1]))
            found.append(result[:NUM_REPEATED].copy())
        return np.concatenate(found)[:NUM_REPEATED], holds

    starts, holds = [1], True
    last, _ = results(1)
    for before, num_rows in itertools.pairwise(SAMPLED_ROWS):
        result, is_same_everywhere = results(num_rows)
        holds = holds and is_same_everywhere
        if not np.array_equal(result, last):
            low, high = before, num_rows  # low is like ``last``, high is not
            while high - low > 1:
                middle = (low + high) // 2
                is_like_low = np.array_equal(results(middle)[0], last)
                low, high = (middle, high) if is_like_low else (low, middle)
            starts.append(high)
            last = result
    return RowProbe(RowBands(tuple(starts)), holds and _is_same_everywhere(product, rows_TI))


def _is_same_everywhere(
    product: Callable[[NDArray[np.float32]], NDArray[np.float32]], rows_TI: NDArray[np.float32]
) -> bool:
    """Return whether several rows give the same bits in every place of a call.

    One row is not enough: where results are rounded to bfloat16, another order of sums changes few of them.
    """
    few_TI = rows_TI[:NUM_REPEATED]
    result_TO = product(np.tile(few_TI, (len(rows_TI) // NUM_REPEATED, 1))).copy()
    return bool((result_TO.reshape(-1, NUM_REPEATED, result_TO.shape[1]) == result_TO[:NUM_REPEATED]).all())


def _measure(matrix: ProbedMatrix, threads: int, tuning: Mapping[str, str | int]) -> RowProbe:
    num_inputs = matrix.shape[1]

    def build() -> ov.Model:
        rows = ops.parameter([-1, num_inputs], np.float32, name="rows")
        return ov.Model([ops.result(ops.convert(linear(rows, matrix.stored), "f32"))], [rows], "row-probe")

    network = compile_network(build, threads=threads, tuning=tuning)
    request = network.model.create_infer_request()

    def product(rows_TI: NDArray[np.float32]) -> NDArray[np.float32]:
        request.infer([rows_TI])
        result_TO: NDArray[np.float32] = request.get_output_tensor(0).data
        return result_TO

    return bands_of(product, num_inputs)

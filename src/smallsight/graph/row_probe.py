"""At which numbers of rows the runtime changes the bits of a matrix product, measured on this machine.

OpenVINO picks kernels by the number of rows, differently on every processor: with AMX 1 to 4 rows against 5
and more, with AVX2 1, 2 to 80, and 81 and more (openvino 2026.4.1, weights of 8 and 4 bits). Nothing tells
which, so it is measured once per processor, runtime, thread count and shape, and kept in the data folder.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import structlog
from numpy.typing import NDArray
from openvino import opset15 as ops

from smallsight.catalog.state_file import read_state, write_state
from smallsight.errors import SmallsightError
from smallsight.graph.compiled import compile_network, machine_identity
from smallsight.graph.constants import StoredMatrix
from smallsight.graph.linear import linear
from smallsight.machine.processor import processor
from smallsight.policy.row_bands import RowBands

log = structlog.get_logger(__name__)

STATE_NAME = "row-bands.json"
SAMPLED_ROWS = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 32, 33, 64, 80, 81, 128, 129, 256, 257, 512, 768)
MOST_OUTPUTS = 2048  # of a wide matrix; more outputs are more blocks of the same kernel
MOST_MACHINES = 16  # in one data folder: a home directory may be shared


@dataclass(frozen=True, slots=True)
class RowProbe:
    """Row counts where results change, and whether results depend on nothing else.

    ``holds`` is False where a row's bits depend on its place in the call or on the values of other rows: then
    no grouping makes answers independent of their company.
    """

    bands: RowBands = field(default_factory=RowBands)
    holds: bool = True

    def joined(self, other: RowProbe) -> RowProbe:
        """Return what holds for products of both."""
        return RowProbe(self.bands.joined(other.bands), self.holds and other.holds)


@dataclass(frozen=True, slots=True)
class ProbedMatrix:
    """A matrix float32 [outputs, inputs] as it is stored; ``form`` and its shape name what is measured."""

    form: str
    shape: tuple[int, int]
    stored: StoredMatrix


_TURN = threading.Lock()
_MEASURED: dict[tuple[str, str], RowProbe] = {}  # of this process, also where nothing can be written


def probe_rows(
    matrices: Iterable[ProbedMatrix],
    *,
    threads: int,
    tuning: Mapping[str, str | int],
    prepared_dir: Path | None = None,
) -> RowProbe:
    """Return the bands that hold for all of these matrices, measuring those that are not known yet.

    ``tuning`` and ``threads`` are those of the network that multiplies by them. A measurement takes 0.01 to 2
    seconds for each shape.
    """
    machine = _machine(threads, tuning)
    found = RowProbe()
    with _TURN:
        known = _read(prepared_dir, machine)
        num_known = len(known)
        for matrix in matrices:
            name = f"{matrix.form} {matrix.shape[0]}x{matrix.shape[1]}"
            if name not in known:
                known[name] = _MEASURED.get((machine, name)) or _measure(matrix, threads, tuning)
            _MEASURED[machine, name] = known[name]
            found = found.joined(known[name])
        if prepared_dir is not None and len(known) > num_known:
            _write(prepared_dir, machine, known)
    if not found.holds:
        log.warning("answers_depend_on_company", machine=machine, action="identical questions are not reused")
    return found


def bands_of(product: Callable[[NDArray[np.float32]], NDArray[np.float32]], num_inputs: int) -> RowProbe:
    """Measure a product: float32 [rows, inputs] to float32 [rows, outputs]."""
    rows_TI = np.random.default_rng(0).standard_normal((max(SAMPLED_ROWS), num_inputs), np.float32)

    def first_row(num_rows: int) -> tuple[NDArray[np.float32], bool]:
        """Return the first row's result, and whether the same row at the end gets the same bits."""
        given = rows_TI[:num_rows].copy()
        given[-1] = given[0]
        result = product(given)
        return result[0].copy(), np.array_equal(result[0], result[-1])

    starts, holds = [1], True
    last, _ = first_row(1)
    for before, num_rows in itertools.pairwise(SAMPLED_ROWS):
        result, is_same_everywhere = first_row(num_rows)
        holds = holds and is_same_everywhere
        if not np.array_equal(result, last):
            low, high = before, num_rows  # low is like ``last``, high is not
            while high - low > 1:
                middle = (low + high) // 2
                is_like_low = np.array_equal(first_row(middle)[0], last)
                low, high = (middle, high) if is_like_low else (low, middle)
            starts.append(high)
            last = result
    return RowProbe(RowBands(tuple(starts)), holds)


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


def _machine(threads: int, tuning: Mapping[str, str | int]) -> str:
    sets = " ".join(processor().instruction_sets)
    return json.dumps([machine_identity(), sets, threads, dict(tuning)], sort_keys=True)


def _read(prepared_dir: Path | None, machine: str) -> dict[str, RowProbe]:
    """Return what was measured on this machine before; a damaged file says nothing."""
    if prepared_dir is None:
        return {}
    try:
        rows = read_state(prepared_dir / STATE_NAME).get(machine, {})
        return {
            str(name): RowProbe(RowBands(tuple(int(start) for start in row["starts"])), bool(row["holds"]))
            for name, row in rows.items()
        }
    except (SmallsightError, AttributeError, KeyError, TypeError, ValueError) as error:
        log.warning("row_bands_unusable", why=str(error), action="measuring again")
        return {}


def _write(prepared_dir: Path, machine: str, known: Mapping[str, RowProbe]) -> None:
    try:
        state: dict[str, Any] = read_state(prepared_dir / STATE_NAME)
    except SmallsightError:
        state = {}
    state.pop(machine, None)
    for oldest in list(state)[: len(state) - MOST_MACHINES + 1]:
        del state[oldest]
    state[machine] = {
        name: {"starts": list(one.bands.starts), "holds": one.holds} for name, one in sorted(known.items())
    }
    try:
        write_state(prepared_dir / STATE_NAME, state)
    except SmallsightError as error:
        log.warning("row_bands_not_kept", why=str(error), action="measuring again at the next load")

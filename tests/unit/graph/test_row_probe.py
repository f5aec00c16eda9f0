"""The probe finds where results change, keeps what it found, and says when nothing can be promised."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from openvino import opset15 as ops

from smallsight.graph.compiled import activation_group, compile_network, computes_in_bf16
from smallsight.graph.known_bands import RowProbe, batch_independence
from smallsight.graph.linear import linear
from smallsight.graph.row_probe import ProbedMatrix, bands_of, probe_rows
from smallsight.machine.processor import processor
from smallsight.policy.row_bands import RowBands
from smallsight.quant.forms import Storage

TUNING = {
    "INFERENCE_PRECISION_HINT": "bf16" if computes_in_bf16() else "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": activation_group(64),
}


@pytest.mark.parametrize("starts", [(1,), (1, 5), (1, 2, 81), (1, 2, 5, 81, 700), (1, 100)])
def test_it_finds_where_results_change(starts: tuple[int, ...]) -> None:
    def product(rows_TI: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute in another way from each of these row counts on, as runtimes do."""
        kernel = sum(start <= len(rows_TI) for start in starts)
        return rows_TI * np.float32(1 + 1e-6 * kernel)

    assert bands_of(product, 16) == RowProbe(RowBands(starts), holds=True)


def test_it_says_when_a_result_depends_on_the_place_of_a_row() -> None:
    def by_place(rows_TI: NDArray[np.float32]) -> NDArray[np.float32]:
        return rows_TI + np.arange(len(rows_TI), dtype=np.float32)[:, None]

    assert not bands_of(by_place, 4).holds


def test_it_says_so_when_rounding_hides_it_in_most_rows() -> None:
    """bfloat16 with AVX-512 alone: another order of sums from the thirteenth row on changes few results."""

    def by_place(rows_TI: NDArray[np.float32]) -> NDArray[np.float32]:
        results = rows_TI.copy()
        results[12:][rows_TI[12:, 0] < -1] += 1e-3
        return results

    first = np.random.default_rng(0).standard_normal((1, 4), np.float32)
    assert first[0, 0] >= -1, "the row that is compared at every size shows nothing"
    assert not bands_of(by_place, 4).holds


@pytest.mark.parametrize("form", [Storage.INT8_GROUPS, Storage.INT4_GROUPS, Storage.BF16, Storage.FP32])
def test_what_it_finds_is_true_of_the_runtime_here(form: Storage) -> None:
    """The promise itself, for a shape so large that processors without AMX change kernels too."""
    rng = np.random.default_rng(2)
    weight = rng.standard_normal((96, 1024), np.float32)
    stored = form.store(weight)
    found = probe_rows([ProbedMatrix(form, (96, 1024), stored)], threads=1, tuning=TUNING)
    assert found.holds

    rows = ops.parameter([-1, 1024], np.float32, name="rows")
    model = ov.Model([ops.result(ops.convert(linear(rows, stored), "f32"))], [rows], "product")
    network = compile_network(lambda: model, threads=1, tuning=TUNING)
    request = network.model.create_infer_request()
    given = rng.standard_normal((600, 1024), np.float32)
    seen: dict[tuple[int, int | None], bytes] = {}
    for num_rows in [*range(found.bands.fewest_rows, 130), 200, 255, 256, 257, 333, 511, 600]:
        request.infer([given[:num_rows]])
        bits = request.get_output_tensor(0).data[0].tobytes()
        assert seen.setdefault(found.bands.around(num_rows), bits) == bits, num_rows


def test_what_was_measured_is_kept_for_the_next_start(tmp_path: Path) -> None:
    weight = np.random.default_rng(3).standard_normal((24, 40), np.float32)
    matrix = ProbedMatrix("fp32", (24, 40), weight)
    first = probe_rows([matrix], threads=1, tuning=TUNING, prepared_dir=tmp_path)
    path = tmp_path / "row-bands.json"
    text = path.read_text()
    assert "24x40" in text
    path.write_text(re.sub(r'"starts": \[[^]]*', lambda found: f"{found[0]}, 997", text))
    second = probe_rows([matrix], threads=1, tuning=TUNING, prepared_dir=tmp_path)
    assert second.bands == first.bands.joined(RowBands((1, 997))), "the file is believed, not measured again"


def test_the_verdict_of_this_machine_is_read_from_the_file(tmp_path: Path) -> None:
    assert batch_independence(tmp_path) is None, "nothing is promised before it was measured"
    matrix = ProbedMatrix("fp32", (24, 40), np.ones((24, 40), np.float32))
    probe_rows([matrix], threads=1, tuning=TUNING, prepared_dir=tmp_path)
    assert batch_independence(tmp_path) is True
    path = tmp_path / "row-bands.json"
    path.write_text(path.read_text().replace('"holds": true', '"holds": false'))
    assert batch_independence(tmp_path) is False
    path.write_text(path.read_text().replace(processor().name, "another processor"))
    assert batch_independence(tmp_path) is None, "what another machine measured says nothing here"


def test_a_damaged_file_is_measured_again(tmp_path: Path) -> None:
    (tmp_path / "row-bands.json").write_text("[")
    matrix = ProbedMatrix("fp32", (8, 16), np.ones((8, 16), np.float32))
    assert probe_rows([matrix], threads=1, tuning=TUNING, prepared_dir=tmp_path).holds

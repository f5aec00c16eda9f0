"""Answers on the kernels of lesser processors, as far as one with more can run them.

``ONEDNN_MAX_CPU_ISA`` takes instruction sets away from oneDNN and adds none; the runtime's own checks, torch
and the extension do not consult it. ``lesser_processor`` answers for the processor itself, so that all of
them find AVX-512 without VNNI. One with AVX2 has nothing to take away (with ``AVX`` the runtime finds no
kernel for 8-bit weights, openvino 2026.4.1), and AMX cannot be had where it is not. Both are read once, so
each limit has a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import lesser_processor
from invariants import tokens_are_equal
from smallsight.machine.processor import processor
from tiny_smolvlm import SHAPES, make_checkpoint

ANSWERS = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
from smallsight.engine.engine import EngineOptions
from smallsight.model.vision_language_model import VisionLanguageModel
folder, precision = sys.argv[1:]
values = np.random.default_rng(3)
pictures = [Image.fromarray(values.integers(0, 256, (50, 60 + 9 * n, 3), np.uint8)) for n in range(4)]
options = EngineOptions(cache_bytes=4 << 20, chunk_tokens=64)
with VisionLanguageModel.load(
    Path(folder), family="smolvlm", name="tiny", precision=precision, threads=1, options=options
) as model:
    alone = [model.describe(one, max_tokens=8).token_ids for one in pictures]
    together = [one.token_ids for one in model.describe_many(pictures, batch_size=4, max_tokens=8)]
    print(json.dumps({"alone": alone, "together": together}))
"""


KERNELS = """
import json
import numpy as np
import openvino as ov
from openvino import opset15 as ops
from smallsight.graph.compiled import compile_network, computes_in_bf16
from smallsight.graph.linear import linear
from smallsight.graph.row_probe import bands_of
from smallsight.machine.extension import find_extension
from smallsight.machine.processor import processor
from smallsight.quant.forms import Storage
matrix = np.random.default_rng(2).standard_normal((576, 576), np.float32)
found = {}
for form in (Storage.INT8_GROUPS, Storage.INT4_GROUPS, Storage.BF16, Storage.FP32):
    stored = form.store(matrix)
    rows = ops.parameter([-1, 576], np.float32, name="rows")
    model = ov.Model([ops.result(ops.convert(linear(rows, stored), "f32"))], [rows], "product")
    network = compile_network(lambda: model, threads=1).model
    request = network.create_infer_request()
    def product(rows_TI):
        request.infer([rows_TI])
        return request.get_output_tensor(0).data
    holds = bands_of(product, 576).holds
    layers = [op.get_rt_info() for op in network.get_runtime_model().get_ops()]  # known after the first call
    products = [one for one in layers if one["layerType"].astype(str) == "FullyConnected"]
    found[form] = [one["primitiveType"].astype(str) for one in products], holds
print(json.dumps([processor().name, computes_in_bf16(), find_extension().path, found]))
"""


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    if why := lesser_processor.obstacle():
        pytest.skip(why)
    return lesser_processor.environment(tmp_path_factory.mktemp("masked"))


def limited():
    return {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}


def run(program, arguments, environment):
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def answers_are_equal(tmp_path, precision, environment):
    folder = make_checkpoint(tmp_path / "tiny", SHAPES[0])
    answers = run(ANSWERS, [str(folder), precision], environment)
    for own, other in zip(answers["alone"], answers["together"], strict=True):
        tokens_are_equal(other, own, f"{precision} with AVX-512 alone")


@pytest.mark.skipif("avx512f" not in processor().instruction_sets, reason="no AVX-512 to limit to")
def test_answers_do_not_depend_on_company_where_onednn_is_limited(tmp_path):
    answers_are_equal(tmp_path, "int8", limited())


@pytest.mark.parametrize("precision", ["int8", pytest.param("int4", marks=pytest.mark.slow), "bf16"])
def test_answers_do_not_depend_on_company_without_vnni(tmp_path, precision, masked):
    """int8 and int4 are the extension's with AVX2 where it is installed, bf16 is the runtime's."""
    answers_are_equal(tmp_path, precision, masked)


def test_kernels_without_vnni(masked):
    """The names are those of openvino 2026.4.1; with VNNI or AMX they are others."""
    name, computes_in_bf16, path, found = run(KERNELS, [], masked)
    assert name == lesser_processor.NAME
    assert not computes_in_bf16
    assert path in ("avx2", "")  # "" where the extension is not installed
    assert found == {
        "int8-groups": [["brgemm_avx512_f32"], True],
        "int4-groups": [["brgemm_avx512_f32"], True],
        "bf16": [["gemm_mlas_f32"], True],  # jit_gemm_bf16 adds in an order that depends on a row's place
        "fp32": [["gemm_mlas_f32"], True],
    }

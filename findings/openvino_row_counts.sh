#!/usr/bin/env bash
# OpenVINO: a row of a product with 8-bit weights gets other bits when other rows are computed beside it.
#
# Version: openvino 2026.4.1, numpy 2.4.6, Python 3.11, on an x86-64 processor with AVX2 and without AVX-512.
# Behaviour: one linear layer, weights stored as int8 with one scale per row (the documented form of compressed
#   weights), everything computed in float32. The first row of the input is always the same. Its result changes
#   when the call has 2 rows instead of 1, and again at 81 rows, where a row has 1,024 inputs; with 256 inputs it
#   changes at 2 rows only. Weights in float32 give the same bits for every number of rows. Seen difference: about
#   1e-6 of the largest output. So a model's greedy answer may depend on the requests that share its batch.
# Output seen:
#   int8 weights, 1024 inputs: changes at 1 2 81
#   int8 weights, 256 inputs: changes at 1 2
#   float32 weights, 1024 inputs: changes at 1
# Exits 1 if this changes. On other processors the row counts differ, and nothing is checked.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cat > "$folder/rows.py" <<'PYTHON'
import sys

import numpy as np
import openvino as ov
from openvino import opset15 as ops

EXPECTED = {("int8", 1024): [1, 2, 81], ("int8", 256): [1, 2], ("float32", 1024): [1]}


def changes(kind: str, inputs: int) -> list[int]:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((64, inputs)).astype(np.float32)
    rows = ops.parameter([-1, inputs], np.float32)
    if kind == "int8":
        scale = np.abs(weight).max(axis=1, keepdims=True) / 127
        codes = ops.constant(np.rint(weight / scale).astype(np.int8))
        matrix = ops.multiply(ops.convert(codes, "f32"), ops.constant(scale.astype(np.float32)))
    else:
        matrix = ops.constant(weight)
    product = ops.matmul(rows, matrix, transpose_a=False, transpose_b=True)
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = ov.Core().compile_model(ov.Model([product], [rows]), "CPU", options).create_infer_request()
    given, last, found = rng.standard_normal((130, inputs)).astype(np.float32), None, []
    for count in range(1, 131):
        request.infer([given[:count]])
        result = request.get_output_tensor(0).data[0].copy()
        if last is None or not np.array_equal(result, last):
            found.append(count)
        last = result
    return found


found = {case: changes(*case) for case in EXPECTED}
for (kind, inputs), counts in found.items():
    print(f"{kind} weights, {inputs} inputs: changes at {' '.join(map(str, counts))}")
flags = open("/proc/cpuinfo", encoding="utf-8").read().split("flags", 1)[1].split("\n", 1)[0].split()
if "avx2" not in flags or "avx512f" in flags:
    print("another kind of processor: not compared")
elif found != EXPECTED:
    sys.exit("this has changed")
PYTHON
"$folder/venv/bin/python" "$folder/rows.py"

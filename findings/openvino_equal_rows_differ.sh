#!/usr/bin/env bash
# OpenVINO: with AVX-512 and without instructions for bfloat16, equal rows of one product get different results.
#
# Version: openvino 2026.4.1, numpy 2.4; Intel Xeon with AVX-512, limited to AVX512_CORE by oneDNN's own switch.
# Behaviour: under the hint bf16 the CPU plugin multiplies in an imitation of bfloat16 (kernel jit_gemm_bf16). It
#   sums the rows from the thirteenth on in another order than those before, so that 17 equal rows give two
#   results. With weights of bfloat16 it does so under the hint f32, too, though rounding hides it in most runs. With
#   the hint f32 and weights of float32 (gemm_mlas_f32) all rows are equal.
# Output seen:
#   hint bf16, jit_gemm_bf16: rows unlike the first: 12 13 14 15 16
#   hint f32, gemm_mlas_f32: rows unlike the first: none
# Exits 1 if this changes, and 0 with a word where the processor has no AVX-512.
set -euo pipefail
grep -qw avx512vl /proc/cpuinfo || { echo "this processor has no AVX-512"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
ONEDNN_MAX_CPU_ISA=AVX512_CORE "$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/said"
import numpy as np
import openvino as ov
from openvino import opset15 as ops

values = np.random.default_rng(2)
rows = ops.parameter([-1, 576], np.float32)
weights = ops.constant(values.standard_normal((576, 576), np.float32))
model = ov.Model([ops.result(ops.matmul(rows, weights, False, True))], [rows], "product")
given = np.repeat(values.standard_normal((1, 576), np.float32), 17, axis=0)
for hint in ("bf16", "f32"):
    options = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": 1}
    compiled = ov.Core().compile_model(model, "CPU", options)
    result = compiled([given])[0]
    layers = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
    kernel = next(one["primitiveType"] for one in layers if one["layerType"].astype(str) in ("FullyConnected", "MatMul"))
    unlike = [str(number) for number, row in enumerate(result) if not np.array_equal(row, result[0])]
    print(f"hint {hint}, {kernel.astype(str)}: rows unlike the first: {' '.join(unlike) or 'none'}")
PYTHON
grep -q "^hint bf16, jit_gemm_bf16: rows unlike the first: 12" "$folder/said" \
    && grep -q "^hint f32, .*: rows unlike the first: none" "$folder/said" || { echo "this has changed"; exit 1; }

#!/usr/bin/env bash
# OpenVINO: on a processor without AVX-512, bfloat16 inference is accepted and a bfloat16 KV cache is not.
#
# Version: openvino 2026.4.1, numpy 2.4.6, Python 3.11, on an x86-64 processor with AVX2 and without AVX-512.
# Behaviour: INFERENCE_PRECISION_HINT bf16 compiles and computes in float32 without a word. KV_CACHE_PRECISION bf16,
#   which usually goes with it, is accepted too as long as no layer is paged attention. With one,
#   compile_model raises RuntimeError. What the plugin can do shows in OPTIMIZATION_CAPABILITIES, which lacks BF16.
# Output seen:
#   capabilities: BIN EXPORT_IMPORT FP32 INT8
#   matmul with hint bf16 and KV cache bf16: runs
#   paged attention with hint bf16 and KV cache f32: compiles
#   paged attention with hint bf16 and KV cache bf16: RuntimeError, expect kvcache type f32
# Exits 1 if this changes. On other processors nothing is checked.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cat > "$folder/cache.py" <<'PYTHON'
import sys

import numpy as np
import openvino as ov
from openvino import opset15 as ops
from openvino.op import _PagedAttentionExtension

HEADS, SIZE, BLOCK = 2, 32, 32


def nothing(kind):
    return ops.constant(np.zeros(0, kind))


def paged_attention() -> ov.Model:
    width = HEADS * SIZE
    query, key, value = (ops.parameter([-1, width], np.float32) for _ in range(3))
    caches = [ops.parameter([-1, HEADS, BLOCK, SIZE], np.float32) for _ in range(2)]
    past, begins, blocks, block_begins = (ops.parameter([-1], np.int32) for _ in range(4))
    longest = ops.parameter([], np.int32)
    number = lambda one: ops.constant(np.int32(one))  # noqa: E731
    arguments = [
        query, key, value, *caches, past, begins, blocks, block_begins,
        ops.constant(np.float32(SIZE**-0.5)), number(0), nothing(np.float32), longest,
        nothing(np.int32), nothing(np.int32), nothing(np.int32), nothing(np.float32),
        nothing(np.float32), number(0), number(0), nothing(np.float32),
        number(0), nothing(np.int32), nothing(np.int32), nothing(np.int32),
        nothing(np.int32), nothing(np.uint8), nothing(np.int32),
    ]
    attended = _PagedAttentionExtension([one.output(0) for one in arguments])
    facts = attended.get_rt_info()
    for side in "kv":
        facts[f"{side}_head_size"], facts[f"num_{side}_heads"] = SIZE, HEADS
    parameters = [query, key, value, *caches, past, begins, blocks, block_begins, longest]
    return ov.Model([attended.output(0)], parameters)


core = ov.Core()
capabilities = sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
print("capabilities:", " ".join(capabilities))
rows = ops.parameter([-1, 8], np.float32)
plain = ov.Model([ops.matmul(rows, ops.constant(np.eye(8, dtype=np.float32)), False, True)], [rows])
options = {"INFERENCE_PRECISION_HINT": "bf16", "KV_CACHE_PRECISION": "bf16"}
core.compile_model(plain, "CPU", options)
print("matmul with hint bf16 and KV cache bf16: runs")
found = []
for kind in ("f32", "bf16"):
    try:
        core.compile_model(paged_attention(), "CPU", options | {"KV_CACHE_PRECISION": kind})
        found.append("compiles")
    except RuntimeError as error:
        is_known = "expect kvcache type f32" in str(error)
        found.append("RuntimeError, expect kvcache type f32" if is_known else f"RuntimeError: {error}")
    print(f"paged attention with hint bf16 and KV cache {kind}: {found[-1]}")
if "BF16" in capabilities:
    print("another kind of processor: not compared")
elif found != ["compiles", "RuntimeError, expect kvcache type f32"]:
    sys.exit("this has changed")
PYTHON
"$folder/venv/bin/python" "$folder/cache.py"

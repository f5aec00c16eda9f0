#!/usr/bin/env bash
# OpenVINO: with bfloat16 inference, angles of rotary positions are computed in bfloat16, so that late positions are one.
#
# Version: openvino 2026.4.1, numpy 2.4.6, Python 3.11, on an x86-64 processor with avx512_bf16.
# Behaviour: a decoder computes its angles in the graph, from whole positions converted to float32: position times
#   frequency, cosine, product with the heads, product with the weights. INFERENCE_PRECISION_HINT bf16 reaches back from
#   the product with weights to the conversion of the positions: they are rounded to 8 bits, and past 256 neighbours
#   get the same angles. Nothing says so; short prompts are not affected. Angles that are looked up in a constant
#   table by position are right to the last bit of bfloat16.
# Output seen:
#   angles computed, hint f32: largest error 0.000 at 100, 0.000 at 300, 0.000 at 1001
#   angles computed, hint bf16: largest error 0.008 at 100, 0.085 at 300, 0.386 at 1001
#   angles looked up, hint bf16: largest error 0.002 at 100, 0.002 at 300, 0.002 at 1001
# Exits 1 if this changes. On processors without avx512_bf16 nothing is checked.
set -euo pipefail
grep -q avx512_bf16 /proc/cpuinfo || { echo "no avx512_bf16 here: nothing checked"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cat > "$folder/angles.py" <<'PYTHON'
import numpy as np
import openvino as ov
from openvino import opset15 as ops

SIZE = 16
frequencies = (1 / 10_000 ** (np.arange(SIZE) / SIZE)).astype(np.float32)
weights = np.random.default_rng(0).standard_normal((SIZE, 256)).astype(np.float32) / 4


def compiled(looked_up: bool, hint: str):
    positions = ops.parameter([-1], np.int64)
    heads = ops.parameter([-1, SIZE], np.float32)
    if looked_up:
        table = np.cos(np.arange(2048)[:, None] * frequencies).astype(np.float32)
        cosines = ops.gather(ops.constant(table), positions, ops.constant(np.int64(0)))
    else:
        column = ops.unsqueeze(ops.convert(positions, "f32"), ops.constant(np.int64(1)))
        cosines = ops.cos(ops.multiply(column, ops.constant(frequencies[None])))
    product = ops.matmul(ops.multiply(heads, cosines), ops.constant(weights), False, False)
    model = ov.Model([ops.result(product)], [heads, positions])
    return ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint})


def errors(network) -> dict[int, float]:
    found = {}
    for position in (100, 300, 1001):
        heads = np.ones((1, SIZE), np.float32)
        got = network([heads, np.array([position])])[0]
        expected = np.cos(position * frequencies.astype(np.float64))[None] @ weights
        found[position] = float(np.abs(got - expected).max() / np.abs(expected).max())
    return found


rows = {
    "angles computed, hint f32": errors(compiled(False, "f32")),
    "angles computed, hint bf16": errors(compiled(False, "bf16")),
    "angles looked up, hint bf16": errors(compiled(True, "bf16")),
}
for name, found in rows.items():
    print(f"{name}: largest error " + ", ".join(f"{error:.3f} at {at}" for at, error in found.items()))
computed = rows.pop("angles computed, hint bf16")
fine = all(error < 0.02 for found in rows.values() for error in found.values())
raise SystemExit(not (fine and computed[100] < 0.02 and computed[1001] > 0.1))
PYTHON
"$folder/venv/bin/python" "$folder/angles.py" || { echo "this has changed"; exit 1; }

#!/usr/bin/env bash
# OpenVINO: a network compiled for two streams may have scaled its compressed weights twice, or not at all.
#
# Version: openvino 2026.4.1, numpy 2.4.6, Python 3.11; Intel Xeon with AMX, 2 cores, and the same one limited to
#   AVX2 by oneDNN's own switch.
# Behaviour: the CPU plugin multiplies by compressed weights as they are stored for most shapes only. For the others the
#   compiled network has Convert and Multiply as constant nodes. The results fit each stream running these while the
#   network is compiled, in place in memory that all streams share: the weights are then multiplied by their scales
#   twice, or not at all, and the compiled network is wrong in every inference. Such shapes are, also with AVX2 alone,
#   groups of fewer than 4 inputs and matrices of one output. With AMX and bfloat16 they are also matrices of at most
#   512 inputs and 512 outputs whose inputs are no multiple of 32, and those with at most 32 of both. With one
#   stream all are right, and two networks of one stream that are compiled at the same time are right too.
# Output seen, each line the results of 300 compilations (the counts differ from run to run):
#   groups of 2, f32, NUM_STREAMS 1: right 300
#   groups of 2, f32, NUM_STREAMS 2: partly wrong 235, right 42, not scaled 16, scaled twice 7
#   48 inputs, bf16, NUM_STREAMS 1: right 300
#   48 inputs, bf16, NUM_STREAMS 2: right 256, scaled twice 42, not scaled 2
#   64 inputs, bf16, NUM_STREAMS 1: right 300
#   64 inputs, bf16, NUM_STREAMS 2: right 300
# Exits 1 if this changes. Without AMX it says so and checks the first two lines only; it needs two cores.
set -euo pipefail
[ "$(nproc)" -ge 2 ] || { echo "this needs two cores: with one there is one stream"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cat > "$folder/streams.py" <<'PYTHON'
import collections
import os
import sys

import numpy as np
import openvino as ov
from openvino import opset15 as ops

COMPILATIONS, SCALE = 300, 0.25
values = np.random.default_rng(0)
core = ov.Core()


def product(codes):
    """Return a network that multiplies by codes [outputs, groups, group], each scaled by a quarter."""
    outputs, groups, group = codes.shape
    rows = ops.parameter([1, 16, groups * group], np.float32)
    scales = ops.constant(np.full((outputs, groups, 1), SCALE, np.float16))
    scaled = ops.multiply(ops.convert(ops.constant(codes), np.float16), scales)
    weights = ops.convert(ops.reshape(scaled, [outputs, groups * group], False), np.float32)
    return ov.Model([ops.result(ops.matmul(rows, weights, False, True))], [rows], "product")


def outcome(result, right):
    names = {"right": 1, "scaled twice": SCALE, "not scaled": 1 / SCALE}
    tolerance = 0.05 * right.std()
    found = (name for name, factor in names.items() if np.abs(result / factor - right).max() < tolerance)
    return next(found, "partly wrong")


def counted(label, outputs, groups, group, hint):
    """Print and return how often the results of a compiled network are right, for one stream and for two."""
    codes = values.integers(-127, 128, (outputs, groups, group)).astype(np.int8)
    rows = values.standard_normal((1, 16, groups * group)).astype(np.float32)
    right = rows @ (codes.reshape(outputs, -1).T.astype(np.float32) * np.float32(SCALE))
    network = product(codes)
    are_right = []
    for streams in (1, 2):
        options = {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": 2, "INFERENCE_PRECISION_HINT": hint}
        seen = collections.Counter()
        for _ in range(COMPILATIONS):
            compiled = core.compile_model(network, "CPU", options)
            several = {outcome(compiled([rows])[0], right) for _ in range(3)}
            seen[" and ".join(sorted(several))] += 1
        print(f"{label}, {hint}, NUM_STREAMS {streams}:", ", ".join(f"{k} {n}" for k, n in seen.most_common()))
        are_right.append(seen["right"] == COMPILATIONS)
    return tuple(are_right)


found = [counted("groups of 2", 1024, 512, 2, "f32")]
expected = [(True, False)]
with open("/proc/cpuinfo") as facts:
    has_amx = "amx_bf16" in facts.read() and "ONEDNN_MAX_CPU_ISA" not in os.environ
if has_amx:
    found += [counted("48 inputs", 64, 3, 16, "bf16"), counted("64 inputs", 64, 4, 16, "bf16")]
    expected += [(True, False), (True, True)]
else:
    print("this processor has no AMX, which the shapes of the other lines need")
if found != expected:
    sys.exit("this has changed")
PYTHON
"$folder/venv/bin/python" "$folder/streams.py"

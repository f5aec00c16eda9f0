#!/usr/bin/env bash
# OpenVINO: an inference that found no memory fails again when there is memory; only compiling the network again helps.
#
# Version: openvino 2026.4.1, numpy 2.4.6, Python 3.11, Linux on x86-64.
# Behaviour: the plugin prepares code for each new number of rows and keeps it, as a promise of it, in a cache of the
#   compiled network. Where memory ends while it prepares, infer raises "can't alloc", and the promise stays in the
#   cache unkept: every later call with the same number of rows raises "std::future_error: Broken promise", with free
#   memory and with a new request too. A network compiled from the same model computes them. Some amounts of
#   memory end elsewhere and leave nothing behind, so several are tried.
# Output seen, with as little memory left as leaves something behind:
#   no memory: can't alloc
#   memory again: Broken promise
#   memory again, new request: Broken promise
#   memory again, compiled again: 25 rows
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cat > "$folder/promise.py" <<'PYTHON'
import resource
import sys

import numpy as np
import openvino as ov
from openvino import opset15 as ops

WIDTH, PAGE, UNLIMITED = 256, 4096, resource.RLIM_INFINITY
KNOWN = "can't alloc", "Broken promise", "Failed to allocate"


def network() -> ov.Model:
    rows = ops.parameter([-1, WIDTH], np.float32)
    hidden = rows
    for _ in range(4):
        weights = ops.constant(np.eye(WIDTH, dtype=np.float32))
        hidden = ops.relu(ops.matmul(hidden, weights, False, True))
    return ov.Model([hidden], [rows])


def outcome(request: ov.InferRequest, num_rows: int) -> str:
    request.set_input_tensor(ov.Tensor(np.ones((num_rows, WIDTH), np.float32)))
    try:
        request.infer()
    except RuntimeError as error:
        return next((words for words in KNOWN if words in str(error)), str(error))
    return f"{len(request.get_output_tensor().data)} rows"


model, core = network(), ov.Core()
compiled = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 2})
request = compiled.create_infer_request()
outcome(request, 200)
with open("/proc/self/statm") as file:
    in_use = int(file.read().split()[0]) * PAGE
resource.setrlimit(resource.RLIMIT_AS, (in_use + int(sys.argv[1]) * 1024, UNLIMITED))
found = {"no memory": outcome(request, 25)}
resource.setrlimit(resource.RLIMIT_AS, (UNLIMITED, UNLIMITED))
found["memory again"] = outcome(request, 25)
found["memory again, new request"] = outcome(compiled.create_infer_request(), 25)
again = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 2})
found["memory again, compiled again"] = outcome(again.create_infer_request(), 25)
if list(found.values()) != ["can't alloc", "Broken promise", "Broken promise", "25 rows"]:
    sys.exit(1)
for when, what in found.items():
    print(f"{when}: {what}")
PYTHON
for left_kib in 0 64 128 192 256 384 512; do
    "$folder/venv/bin/python" "$folder/promise.py" "$left_kib" 2>/dev/null && exit 0
done
echo "this has changed" >&2
exit 1

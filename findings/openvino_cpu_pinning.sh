#!/usr/bin/env bash
# OpenVINO: every process of one inference thread computes on core 0, and asking for no pinning may be ignored.
#
# Version: openvino 2026.4.1, numpy 2.4.6, Python 3.11, Linux with two or more cores.
# Behaviour: ENABLE_CPU_PINNING is true by default on Linux, and cores are counted from the first one in every
#   process. So a network compiled with INFERENCE_NUM_THREADS=1 is computed on core 0, whatever else runs there:
#   two such processes share it, and the other cores stay idle. Second, a network compiled with
#   ENABLE_CPU_PINNING=false is pinned all the same if another one with as many threads was compiled and freed in
#   this process before: its idle executor is used again, with its pinning. The property says false then.
# Output seen, on two cores:
#   by default: cores 0
#   without pinning: cores 0 1
#   without pinning, after a pinned network: property False, cores 0
# Exits 1 if this changes, 0 with a line where the machine has one core.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cat > "$folder/pinning.py" <<'PYTHON'
import os
import sys
import threading
import time
from collections import Counter

import numpy as np
import openvino as ov
from openvino import opset15 as ops

SIZE = 1024


def compiled(core: ov.Core, **options: object) -> ov.CompiledModel:
    rows = ops.parameter([SIZE, SIZE], np.float32)
    product = ops.matmul(rows, ops.constant(np.ones((SIZE, SIZE), np.float32)), False, False)
    return core.compile_model(ov.Model([product], [rows]), "CPU", {"INFERENCE_NUM_THREADS": 1, **options})


def usual_cores(network: ov.CompiledModel) -> str:
    """Return the cores that the computing thread may use, as seen most often while it computes."""
    is_over, found = threading.Event(), Counter()

    def compute() -> None:
        while not is_over.is_set():
            network([np.ones((SIZE, SIZE), np.float32)])

    computing = threading.Thread(target=compute)
    computing.start()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        found[tuple(sorted(os.sched_getaffinity(computing.native_id)))] += 1
        time.sleep(0.001)
    is_over.set()
    computing.join()
    return "cores " + " ".join(map(str, found.most_common(1)[0][0]))


if len(os.sched_getaffinity(0)) < 2:
    print("one core: nothing to see")
    sys.exit()
case = sys.argv[1]
core = ov.Core()
if case == "by default":
    print(found := f"{case}: {usual_cores(compiled(core))}")
    is_as_seen = found.endswith("cores 0")
elif case == "without pinning":
    print(found := f"{case}: {usual_cores(compiled(core, ENABLE_CPU_PINNING=False))}")
    is_as_seen = not found.endswith("cores 0")
else:
    compiled(core)
    network = compiled(core, ENABLE_CPU_PINNING=False)
    kept = network.get_property("ENABLE_CPU_PINNING")
    print(found := f"{case}: property {kept}, {usual_cores(network)}")
    is_as_seen = found.endswith("property False, cores 0")
sys.exit(0 if is_as_seen else "this has changed")
PYTHON
for case in "by default" "without pinning" "without pinning, after a pinned network"; do
    "$folder/venv/bin/python" "$folder/pinning.py" "$case"
done

#!/usr/bin/env bash
# bitsandbytes: NF4 fails on a CPU with AVX-512 bfloat16 for widths that it accepts everywhere else.
#
# Version: bitsandbytes 0.50.2, torch 2.13.0, Python 3.11, Linux, AMD EPYC Zen 4.
# Behaviour: at the first call, Linear4bit packs its weights for such a CPU. That needs outputs in multiples of 32 and
#   inputs in multiples of 64, which nothing checks when the layer is made or quantised. moondream2's vision tower has
#   a feed-forward width of 4304. On other CPUs and on GPUs the same layer computes.
# Output seen:
#   4304 to 1152: shape '[1152, 67]' is invalid for input of size 77472
#   1152 to 48: N must be divisible by block_n
#   2048 to 64: [3, 64]
# Exits 1 if this changes, 0 with a sentence on a CPU without AVX-512 bfloat16.
set -euo pipefail
grep -q avx512_bf16 /proc/cpuinfo || { echo "this CPU has no AVX-512 bfloat16"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check bitsandbytes==0.50.2 torch==2.13.0 numpy==2.4.6
cat > "$folder/widths.py" <<'PYTHON'
import bitsandbytes
import torch

for inputs, outputs in ((4304, 1152), (1152, 48), (2048, 64)):
    layer = bitsandbytes.nn.Linear4bit(inputs, outputs, compute_dtype=torch.bfloat16, quant_type="nf4")
    layer.requires_grad_(requires_grad=False).eval().to("cpu")
    with torch.inference_mode():
        try:
            found = list(layer(torch.randn(3, inputs, dtype=torch.bfloat16)).shape)
        except (AssertionError, RuntimeError) as error:
            found = error
    print(f"{inputs} to {outputs}: {found}")
PYTHON
found=$("$folder/venv/bin/python" "$folder/widths.py" 2>/dev/null)
echo "$found"
[ "$(grep -c -e invalid -e divisible <<< "$found")" = 2 ] || { echo "this has changed"; exit 1; }

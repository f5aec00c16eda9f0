#!/usr/bin/env bash
# bitsandbytes: on a CPU with AVX-512 and bfloat16, an NF4 layer fails at its first call unless its width suits a kernel.
#
# Version: bitsandbytes 0.50.2, torch 2.13.0 (CPU), Python 3.11, Linux on a processor with avx512_bf16.
# Behaviour: Linear4bit packs its weight for a fast product without looking at its shape. Outputs that are not a multiple of
#   32 raise an AssertionError, inputs that are not a multiple of 64 a RuntimeError about a reshape. With the layer's
#   attribute support_avx512bf16_for_cpu set to False both compute.
# Output seen:
#   64 inputs, 48 outputs: AssertionError
#   48 inputs, 96 outputs: RuntimeError
#   64 inputs, 64 outputs: computes
#   48 inputs, 48 outputs, without the fast product: computes
# Exits 1 if this changes; on other processors all four compute.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check bitsandbytes==0.50.2 torch==2.13.0 numpy==2.4.6
cat > "$folder/widths.py" <<'PYTHON'
import bitsandbytes as bnb
import torch


def outcome(inputs, outputs, is_fast=True):
    layer = bnb.nn.Linear4bit(inputs, outputs, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4")
    layer.requires_grad_(False)
    layer = layer.to("cpu").eval()
    layer.support_avx512bf16_for_cpu = layer.support_avx512bf16_for_cpu and is_fast
    try:
        with torch.inference_mode():
            layer(torch.ones(2, inputs, dtype=torch.bfloat16))
    except (AssertionError, RuntimeError) as error:
        return type(error).__name__
    return "computes"


print(f"64 inputs, 48 outputs: {outcome(64, 48)}")
print(f"48 inputs, 96 outputs: {outcome(48, 96)}")
print(f"64 inputs, 64 outputs: {outcome(64, 64)}")
print(f"48 inputs, 48 outputs, without the fast product: {outcome(48, 48, is_fast=False)}")
PYTHON
found=$("$folder/venv/bin/python" "$folder/widths.py")
echo "$found"
expected="64 inputs, 48 outputs: AssertionError
48 inputs, 96 outputs: RuntimeError
64 inputs, 64 outputs: computes
48 inputs, 48 outputs, without the fast product: computes"
[ "$found" = "$expected" ] || exit 1

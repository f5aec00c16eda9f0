#!/usr/bin/env bash
# bitsandbytes: quantising a matrix on a CPU takes temporaries several times as large as the matrix.
#
# Version: bitsandbytes 0.50.2, torch 2.13.0 (CPU), Python 3.11, Linux.
# Behaviour: quantize_4bit and int8_vectorwise_quant compute on whole matrices in float32, with each intermediate result in
#   memory. Whoever loads a model layer by layer needs room for that beside the layers: 6.2 to 7.0 times the bytes of a
#   matrix in 16 bits for NF4, 4.0 times for LLM.int8. In pieces of whole rows the bits are the same, with 0.5 to 2.3 times.
# Output seen:
#   nf4, whole: more than 3 times the matrix
#   nf4, in pieces: less, the same bits
#   int8, whole: more than 3 times the matrix
#   int8, in pieces: less, the same bits
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check bitsandbytes==0.50.2 torch==2.13.0 numpy==2.4.6
cat > "$folder/memory.py" <<'PYTHON'
import re
from pathlib import Path

import torch
from bitsandbytes import functional

PIECE = 1 << 18


def status(field):
    return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def nf4(values):
    codes, state = functional.quantize_4bit(values, quant_type="nf4")
    return codes, state.absmax


def int8(values):
    codes, scales, _ = functional.int8_vectorwise_quant(values)
    return codes, scales


def in_pieces(quantise, values):
    found = [quantise(one) for one in values.split(PIECE // values.shape[1])]
    return [torch.cat(one) for one in zip(*found)]


def times(quantise, values):
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    found = quantise(values)
    return (status("VmHWM") - before) / (values.numel() * values.element_size()), found


torch.set_num_threads(1)
weight = torch.randn(4096, 4096)
for name, quantise, dtype, bound in (("nf4", nf4, torch.bfloat16, 3), ("int8", int8, torch.float16, 3)):
    values = weight.to(dtype)
    quantise(values[:64])
    pieces, found = times(lambda given: in_pieces(quantise, given), values)
    whole, expected = times(quantise, values)
    same = all(torch.equal(one, other) for one, other in zip(found, expected))
    print(f"{name}, whole: {'more' if whole > bound else 'not more'} than {bound} times the matrix")
    print(f"{name}, in pieces: {'less' if pieces < bound else 'not less'}, {'the same' if same else 'other'} bits")
PYTHON
found=$("$folder/venv/bin/python" "$folder/memory.py")
echo "$found"
expected="nf4, whole: more than 3 times the matrix
nf4, in pieces: less, the same bits
int8, whole: more than 3 times the matrix
int8, in pieces: less, the same bits"
[ "$found" = "$expected" ] || exit 1

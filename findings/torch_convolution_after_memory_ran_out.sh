#!/usr/bin/env bash
# PyTorch on a CPU: after memory ran out once while a convolution was prepared, that thread prepares none again.
#
# Version: torch 2.13.0+cpu (oneDNN 3.12.0), Python 3.11, Linux x86-64.
# Behaviour: oneDNN generates machine code for a convolution. When the allocation for it fails, the operation raises
#   "could not create a primitive", whatever the reason. With memory free again, it raises the same in this thread, for
#   good, and works in a new thread. Its cache of generated code is off here (a documented variable), as in processes
#   in which code for other shapes has to be generated. A server whose one worker thread catches the error and
#   goes on is broken until it is started again, and nothing says so.
# Output seen:
#   with memory: ok
#   without: RuntimeError: could not create a primitive
#   with memory again: RuntimeError: could not create a primitive
#   with memory again, in a new thread: ok
# Exits 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat > "$folder/convolve.py" <<'PYTHON'
import re
import resource
import threading

import torch

torch.set_num_threads(1)
convolution = torch.nn.Conv2d(3, 48, 8, 8)
picture = torch.randn(1, 3, 32, 32)
_, most = resource.getrlimit(resource.RLIMIT_AS)


def convolve():
    try:
        with torch.no_grad():
            convolution(picture)
        return "ok"
    except RuntimeError as error:
        return f"RuntimeError: {str(error).splitlines()[0]}"


print("with memory:", convolve())
used = int(re.search(r"VmSize:\s+(\d+)", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used, most))
without = convolve()
resource.setrlimit(resource.RLIMIT_AS, (most, most))
print("without:", without)
print("with memory again:", convolve())
found = []
thread = threading.Thread(target=lambda: found.append(convolve()))
thread.start()
thread.join()
print("with memory again, in a new thread:", found[0])
PYTHON
cat > "$folder/expected" <<'TEXT'
with memory: ok
without: RuntimeError: could not create a primitive
with memory again: RuntimeError: could not create a primitive
with memory again, in a new thread: ok
TEXT
ONEDNN_PRIMITIVE_CACHE_CAPACITY=0 "$folder/venv/bin/python" "$folder/convolve.py" 2>/dev/null | tee "$folder/seen"
cmp -s "$folder/expected" "$folder/seen" || { echo "this has changed"; exit 1; }

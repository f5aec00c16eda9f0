#!/usr/bin/env bash
# PyAV / SVT-AV1: one encoded AV1 frame makes the calling thread real-time for good, if the process is root's.
#
# Version: av 18.1.0 (its wheel holds SVT-AV1), numpy 2.4.6, Python 3.11, Linux.
# Behaviour: the encoder `libsvtav1` asks for SCHED_FIFO with priority 99, not only for the threads that it starts but
#   for the caller's. Closing the file does not undo that. Whatever the thread starts later inherits it: a web server
#   or a browser begun by such a process runs ahead of everything else. Other users only get a warning, since the
#   request is refused. The decoder libdav1d and the encoders libx264 and libvpx leave the caller alone.
# Output seen, as root:
#   libx264: policy 0, priority 0
#   libsvtav1: policy 1, priority 99
#   a child started afterwards: policy 1, priority 99
# Exits 1 if this changes, and 0 with a sentence where it is not run as root.
set -euo pipefail
if [ "$(id -u)" != 0 ]; then echo "not root: the request is refused, nothing to see"; exit 0; fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cat > "$folder/encode.py" <<'PYTHON'
import io
import os
import subprocess
import sys

import av
import numpy as np

POLICY = "import os; print(f'policy {os.sched_getscheduler(0)}, priority {os.sched_getparam(0).sched_priority}')"


def encode(codec):
    with av.open(io.BytesIO(), "w", format="mp4") as opened:
        stream = opened.add_stream(codec, rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        opened.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        opened.mux(stream.encode())


for codec in ("libx264", "libsvtav1"):
    encode(codec)
    print(f"{codec}: ", end="", flush=True)
    exec(POLICY)
print("a child started afterwards: ", end="", flush=True)
subprocess.run([sys.executable, "-c", POLICY], check=True)
PYTHON
seen=$("$folder/venv/bin/python" "$folder/encode.py" 2>/dev/null)
echo "$seen"
[ "$seen" = "libx264: policy 0, priority 0
libsvtav1: policy 1, priority 99
a child started afterwards: policy 1, priority 99" ] || { echo "this has changed"; exit 1; }

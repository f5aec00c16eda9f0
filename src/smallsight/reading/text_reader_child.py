"""The reading child process: ``python -m smallsight.reading.text_reader_child THREADS PARENT_PID``.

It loads the networks, reports that it is ready, then reads one image after another until its input ends. It
receives only arrays, never a file. A separate process frees its memory when it ends and crashes alone.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

import numpy as np

from smallsight.media.sandbox import follow_parent
from smallsight.media.wire import read_bytes, read_header, write_frame
from smallsight.reading.ocr_model import OcrModel

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Serve requests on standard input and output; return the exit code."""
    threads, parent_pid = int(arguments[0]), int(arguments[1])
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the output of native libraries is not part of the protocol
    follow_parent(parent_pid)
    model = OcrModel(threads)
    write_frame(replies, {"ready": True, "not_in_force": {}})
    while True:
        try:
            header, num_bytes = read_header(sys.stdin.buffer)
        except EOFError:
            return 0
        pixels = np.frombuffer(read_bytes(sys.stdin.buffer, num_bytes), np.uint8)
        lines = model.read(pixels.reshape(header["height_px"], header["width_px"], 3))
        write_frame(replies, {}, json.dumps([asdict(line) for line in lines]).encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What a reading child does: read one image after another until its input ends.

It receives only arrays, never a file. A separate process frees its memory when it ends and crashes alone.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Protocol

import numpy as np

from smallsight.media.sandbox import follow_parent
from smallsight.media.wire import read_bytes, read_header, write_frame
from smallsight.reading.text_line import TextLine

__all__ = ["WITHOUT_EXTENSION", "serve_reading"]

WITHOUT_EXTENSION = "without-extension"


class _ImageReader(Protocol):
    def read(self, image_HWC: np.ndarray) -> Sequence[TextLine]: ...


def serve_reading(arguments: Sequence[str], load: Callable[[int, bool], _ImageReader]) -> int:
    """Load a reader, serve requests on standard input and output, return the exit code.

    The arguments are THREADS, PARENT_PID and, to do without the extension, WITHOUT_EXTENSION. The reader is
    loaded with the number of threads and whether it may use the extension.
    """
    threads, parent_pid = int(arguments[0]), int(arguments[1])
    may_use_extension = WITHOUT_EXTENSION not in arguments[2:]
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the output of native libraries is not part of the protocol
    follow_parent(parent_pid)
    reader = load(threads, may_use_extension)
    write_frame(replies, {"ready": True, "not_in_force": {}})
    while True:
        try:
            header, num_bytes = read_header(sys.stdin.buffer)
        except EOFError:
            return 0
        shape = header["height_px"], header["width_px"], 3
        # No name keeps the pixels, so that the reader can let them go.
        lines = reader.read(np.frombuffer(read_bytes(sys.stdin.buffer, num_bytes), np.uint8).reshape(shape))
        write_frame(replies, {}, json.dumps([asdict(line) for line in lines]).encode())

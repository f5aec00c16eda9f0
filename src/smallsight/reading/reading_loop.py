"""What a reading child does: read images, a few at the same time, until its input ends.

It receives only arrays, never a file. A separate process frees its memory when it ends and crashes alone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from queue import SimpleQueue
from typing import BinaryIO, Protocol, Self

import numpy as np

from smallsight.machine.memory import trim_heap
from smallsight.media.sandbox import follow_parent
from smallsight.media.wire import read_bytes, read_header, write_frame
from smallsight.reading.text_line import TextLine

__all__ = ["NUMBER", "WITHOUT_EXTENSION", "serve_reading"]

WITHOUT_EXTENSION = "without-extension"
NUMBER = "number"  # of a request, which its reply repeats: replies come in the order in which they are ready

_TRIM_EVERY = 32  # images, after which the heap has some 25 MB of holes; takes a few milliseconds


class _ImageReader(Protocol):
    def read(self, image_HWC: np.ndarray) -> Sequence[TextLine]: ...

    def twin(self) -> Self: ...


_AskedImage = tuple[int, list[np.ndarray]]  # the list keeps an image until a reader takes it


def serve_reading(arguments: Sequence[str], load: Callable[[int, bool], _ImageReader]) -> int:
    """Load a reader, serve requests on standard input and output, return the exit code.

    The arguments are THREADS, PARENT_PID, AT_ONCE, how many images are read at the same time, and, to do
    without the extension, WITHOUT_EXTENSION. The reader is loaded with the number of threads and whether it
    may use the extension.
    """
    threads, parent_pid, at_once = (int(one) for one in arguments[:3])
    may_use_extension = WITHOUT_EXTENSION not in arguments[3:]
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the output of native libraries is not part of the protocol
    follow_parent(parent_pid)
    reader = load(threads, may_use_extension)
    waiting: SimpleQueue[_AskedImage | None] = SimpleQueue()
    writing = threading.Lock()
    lanes = [
        threading.Thread(target=_serve, args=(one, waiting, replies, writing), name="smallsight-reader")
        for one in (reader, *(reader.twin() for _ in range(at_once - 1)))
    ]
    for lane in lanes:
        lane.start()
    write_frame(replies, {"ready": True, "not_in_force": {}})
    _receive(waiting)
    for _ in lanes:
        waiting.put(None)
    for lane in lanes:
        lane.join()
    return 0


def _receive(waiting: SimpleQueue[_AskedImage | None]) -> None:
    """Pass requests on until the input ends."""
    while True:
        try:
            header, num_bytes = read_header(sys.stdin.buffer)
        except EOFError:
            return
        shape = header["height_px"], header["width_px"], 3
        # No name keeps the pixels, so that the reader can let them go.
        waiting.put(
            (
                header[NUMBER],
                [np.frombuffer(read_bytes(sys.stdin.buffer, num_bytes), np.uint8).reshape(shape)],
            )
        )


def _serve(
    reader: _ImageReader,
    waiting: SimpleQueue[_AskedImage | None],
    replies: BinaryIO,
    writing: threading.Lock,
) -> None:
    """Read one image after another; an error ends the process, and with it the others that are being read."""
    try:
        while (request := waiting.get()) is not None:
            number, image = request
            lines = reader.read(image.pop())
            answer = json.dumps([asdict(line) for line in lines]).encode()
            with writing:
                write_frame(replies, {NUMBER: number}, answer)
            if number % _TRIM_EVERY == _TRIM_EVERY - 1:
                trim_heap()
    except BaseException:  # noqa: BLE001 - of a thread: the process would go on without it
        traceback.print_exc()
        os._exit(1)

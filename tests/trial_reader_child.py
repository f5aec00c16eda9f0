"""A reading child without networks, for tests of what becomes of pictures in it: the colour says what to do.

``python -m trial_reader_child THREADS PARENT_PID AT_ONCE`` speaks the protocol of the real one.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import ClassVar

import numpy as np

from smallsight.reading.reading_loop import serve_reading
from smallsight.reading.text_line import TextLine

DEADLY, ENDLESS, SHY, SLOW = (6, 6, 6), (7, 7, 7), (8, 8, 8), (9, 9, 9)
BOX = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
SLOW_S = 0.3


class TrialReader:
    """Answers with the colour, the process id, and with how many others the picture was read."""

    current: ClassVar[set[int]] = set()
    changing = threading.Lock()

    def twin(self) -> TrialReader:
        return TrialReader()

    def read(self, image_HWC: np.ndarray) -> list[TextLine]:
        colour = tuple(image_HWC[0, 0].tolist())
        key = threading.get_ident()
        with self.changing:
            self.current.add(key)
        try:
            others = self._work(colour)
        finally:
            with self.changing:
                self.current.discard(key)
        return [TextLine(f"{colour[0]} {os.getpid()} {others}", 0.9, BOX)]

    def _work(self, colour: tuple[int, ...]) -> int:
        if colour == DEADLY:
            time.sleep(SLOW_S / 2)  # so that others are there
            os._exit(3)
        until_s = time.monotonic() + (SLOW_S if colour == SLOW else 0.05)
        most = 0
        while time.monotonic() < until_s or colour == ENDLESS or (colour == SHY and len(self.current) > 1):
            most = max(most, len(self.current) - 1)
            if colour == SHY and most:
                time.sleep(3600)
            time.sleep(0.005)
        return most


if __name__ == "__main__":
    sys.exit(serve_reading(sys.argv[1:], lambda threads, may_use_extension: TrialReader()))  # noqa: ARG005

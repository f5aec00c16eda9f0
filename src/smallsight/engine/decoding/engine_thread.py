"""The thread in which a worker's networks run, and its successor after an error."""

from __future__ import annotations

import threading
from collections.abc import Callable


class EngineThread:
    """Runs a loop in a thread; when the loop returns True, it is run again in a new one.

    Workers return True at the first request after an error: a thread in which oneDNN once failed to allocate
    memory for its code cannot make new code again, though memory is free (torch 2.13.0 with oneDNN 3.12.0).
    """

    def __init__(self, loop: Callable[[], bool]) -> None:
        self._loop = loop
        self._start()

    def join(self) -> None:
        """Wait until the loop has returned False."""
        while (current := self._thread).is_alive():
            current.join()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="smallsight-engine", daemon=True)
        thread.start()
        self._thread = thread

    def _run(self) -> None:
        while self._loop():
            try:
                self._start()
            except RuntimeError:  # no memory for a thread either
                continue
            return

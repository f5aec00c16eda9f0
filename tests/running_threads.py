"""Says on which cores the threads of a process may run, as Linux tells it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["cores_of_running_threads"]


def cores_of_running_threads(pid: int) -> Iterator[frozenset[int]]:
    """Yield the cores of each thread of a process that is running or waits for a core."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                state = (task / "stat").read_text(encoding="utf-8").rpartition(") ")[2][0]
                if state == "R":
                    yield frozenset(os.sched_getaffinity(int(task.name)))

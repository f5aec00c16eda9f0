"""The priority of processes that do work for which nobody waits."""

from __future__ import annotations

import contextlib
import os
import sys

_NICENESS = 5  # a busy machine must still read a picture before its deadline


def lower_priority(pid: int) -> None:
    """Let other processes go before this one; on Linux and macOS."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)

"""Properties of this process that the Linux kernel keeps: requests to ``prctl``."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

__all__ = ["deny_inspection", "prctl"]

_PR_SET_DUMPABLE = 4


def deny_inspection() -> bool:
    """Deny this user's other programs this process's memory and environment; return whether that worked.

    Linux only; core dumps are off too. Root may still read everything, and a debugger or profiler that
    attaches needs root.
    """
    with contextlib.suppress(OSError):
        prctl(_PR_SET_DUMPABLE, 0)
        return True
    return False


def prctl(option: int, argument: int) -> None:
    """Set one property of this process; raises OSError where that is not possible."""
    if sys.platform != "linux":
        raise OSError(f"no prctl on {sys.platform}")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

"""Counts the cores that this process may use."""

from __future__ import annotations

import os
from functools import cache

import psutil


def usable_cores() -> int:
    """Return the physical cores that the system lets this process use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _physical_cores() or usable)


@cache
def _physical_cores() -> int | None:
    """Return their number, which psutil reads from many files."""
    found: int | None = psutil.cpu_count(logical=False)
    return found

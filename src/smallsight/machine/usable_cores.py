"""Counts the cores that this process may use."""

from __future__ import annotations

import os

import psutil


def usable_cores() -> int:
    """Return the physical cores that the system lets this process use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, psutil.cpu_count(logical=False) or usable)

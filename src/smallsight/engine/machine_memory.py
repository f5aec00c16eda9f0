"""How much memory this program may use: the machine's, or less when a container limits it."""

from __future__ import annotations

from pathlib import Path

import psutil

_LIMIT_FILES = (
    Path("/sys/fs/cgroup/memory.max"),  # cgroup v2
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),  # cgroup v1
)


def usable_memory_bytes(limit_files: tuple[Path, ...] = _LIMIT_FILES) -> int:
    """Return the memory of the machine or the limit of the container, whichever is smaller."""
    total_bytes = int(psutil.virtual_memory().total)
    for path in limit_files:
        try:
            text = path.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if text.isdecimal():  # "max" means no limit
            total_bytes = min(total_bytes, int(text))
    return total_bytes


def free_memory_bytes() -> int:
    """Return what programs can still take before the machine starts to swap."""
    return int(psutil.virtual_memory().available)

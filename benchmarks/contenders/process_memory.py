"""What a contender's process has taken of the machine's memory, as Linux counts it."""

from __future__ import annotations

from pathlib import Path


def memory_mib() -> dict[str, float]:
    """Return the most that was ever resident, and what is resident now, shared files by share, in MiB."""
    return {
        "peak_mib": _field("/proc/self/status", "VmHWM:"),
        "pss_mib": _field("/proc/self/smaps_rollup", "Pss:"),
        "anonymous_mib": _field("/proc/self/smaps_rollup", "Anonymous:"),
    }


def _field(path: str, name: str) -> float:
    return int(Path(path).read_text(encoding="utf-8").split(name)[1].split()[0]) / 1024

"""Measures this process's memory as the kernel counts it: resident, private, and the peak since a moment.

Linux counts all three. Elsewhere the peak is that of samples, and private memory is an estimate of psutil's.

The kernel's own "private" depends on what else runs: a library's pages are private until another process maps
that library. Here they never are, so that a process has the same private memory alone and beside others.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil

_MAPPINGS = Path("/proc/self/smaps")
_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # as proc(5) says: sets the peak to the current resident memory
_FIELD = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)
_SAMPLING_S = 0.005


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """Bytes of a process: all that are resident, and those without unchanged pages of libraries."""

    resident_bytes: int
    private_bytes: int


def process_memory() -> ProcessMemory:
    """Return this process's memory now."""
    try:
        return _sum_of_mappings()
    except OSError:
        memory = psutil.Process().memory_full_info()
        return ProcessMemory(int(memory.rss), int(getattr(memory, "uss", memory.rss)))


class PeakMeter:
    """Measures the peak of resident memory since it was made or ``restart`` was called.

    Where the kernel does not let a process reset its peak, a thread takes samples until ``close``.
    """

    def __init__(self) -> None:
        self._sampled_bytes = 0
        self._is_over = threading.Event()
        self._sampler: threading.Thread | None = None
        self.restart()

    @property
    def is_exact(self) -> bool:
        """Whether the kernel measures the peak."""
        return self._sampler is None

    def restart(self) -> None:
        """Forget the peak so far."""
        self._sampled_bytes = 0
        if self._sampler is None and not _reset_peak():
            self._sampler = threading.Thread(target=self._sample, daemon=True)
            self._sampler.start()

    def peak_bytes(self) -> int:
        """Return the peak of resident memory."""
        now_bytes = process_memory().resident_bytes
        if self._sampler is None:
            # The kernel counts on each processor; its sum is behind that of the mappings by some pages.
            return max(now_bytes, _fields(_STATUS)["VmHWM"])
        return max(now_bytes, self._sampled_bytes)

    def close(self) -> None:
        """End the thread that takes samples, if there is one."""
        self._is_over.set()

    def _sample(self) -> None:
        while not self._is_over.wait(_SAMPLING_S):
            self._sampled_bytes = max(self._sampled_bytes, int(psutil.Process().memory_info().rss))


def _sum_of_mappings() -> ProcessMemory:
    """Read /proc/self/smaps line by line: its whole text would be some of the memory that is measured."""
    resident_by_path, anonymous_by_path = Counter[str](), Counter[str]()
    code, path = set[str](), ""
    with _MAPPINGS.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name, _, rest = line.partition(" ")
            if name == "Rss:":
                resident_by_path[path] += _bytes_of(rest)
            elif name == "Anonymous:":
                anonymous_by_path[path] += _bytes_of(rest)
            elif not name.endswith(
                ":"
            ):  # a mapping's first line: addresses, rights, offset, device, inode, path
                rights, _, _, _, *named = rest.split(maxsplit=4)
                path = named[0].rstrip("\n") if named else ""
                if "x" in rights and path:
                    code.add(path)
    private = sum(
        (anonymous_by_path if path in code else resident_by_path)[path] for path in resident_by_path
    )
    return ProcessMemory(resident_by_path.total(), private)


def _bytes_of(field: str) -> int:
    return int(field.split(maxsplit=1)[0]) * 1024


def _reset_peak() -> bool:
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")
        return "VmHWM" in _fields(_STATUS)
    except OSError:
        return False


def _fields(path: Path) -> dict[str, int]:
    """Return the sizes that a file of /proc lists, in bytes; raises OSError."""
    text = path.read_text(encoding="ascii", errors="replace")
    return {name: int(number) * 1024 for name, number in _FIELD.findall(text)}

"""How much memory this program may use and does use, and giving back what it does not."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
from pathlib import Path

import psutil

_AVAILABLE = re.compile(rb"^MemAvailable:\s+(\d+) kB$", re.MULTILINE)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0  # 0: nothing reads it there
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
    if (text := _read(Path("/proc/meminfo"))) is not None and (found := _AVAILABLE.search(text)) is not None:
        return int(found[1]) * 1024
    return int(psutil.virtual_memory().available)


def resident_memory_bytes() -> int:
    """Return what this process holds in memory now."""
    if (text := _read(Path("/proc/self/statm"))) is not None:
        return int(text.split()[1]) * _PAGE_BYTES
    return int(psutil.Process().memory_info().rss)


def other_process_bytes(pid: int) -> int:
    """Return what a process of ours holds besides files that others map too; 0 when it has ended."""
    if (text := _read(Path(f"/proc/{pid}/statm"))) is not None:
        resident, shared = text.split()[1:3]
        return (int(resident) - int(shared)) * _PAGE_BYTES
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return int(memory.rss - getattr(memory, "shared", 0))


def _read(path: Path) -> bytes | None:
    """Return a file of the system's, or None where it has none; in three calls.

    psutil makes many, and after each of them a busy server's event loop waits for the interpreter.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(descriptor, 8192)
    except OSError:  # the process has ended since
        return None
    finally:
        os.close(descriptor)


def peak_memory_bytes() -> int:
    """Return the most that this process has held since it began, or what it holds where that is not kept."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return resident_memory_bytes()
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit_bytes


def give_memory_back() -> bool:
    """Collect garbage and return what the allocator has kept to the system; False where it cannot be told to.

    glibc keeps freed memory for itself until asked; other allocators give it back in their own time.
    """
    is_some_aside = gc.get_freeze_count() > 0
    gc.unfreeze()
    gc.collect()
    if is_some_aside:
        gc.freeze()
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except AttributeError:  # musl
        return False


def set_lasting_objects_aside() -> None:
    """Collect garbage, and have later collections pass over all that is left.

    A full collection looks at every object there is: with a model loaded, that stops all threads for 80 ms.
    For processes that answer while they collect. What was set aside before is not looked at again, but by
    ``give_memory_back``, which then sets aside what is left.
    """
    gc.collect()
    gc.freeze()


def take_lasting_objects_back() -> None:
    """Have collections look at every object again."""
    gc.unfreeze()

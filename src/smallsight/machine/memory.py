"""Measures memory limits and use, and returns unused memory to the operating system."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

_AVAILABLE = re.compile(rb"^MemAvailable:\s+(\d+) kB$", re.MULTILINE)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0  # 0: not used on such systems
_LIMIT_FILES = (
    Path("/sys/fs/cgroup/memory.max"),  # cgroup v2
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),  # cgroup v1
)
_RELEASES: dict[str, Callable[[], None]] = {}  # of memory that is not this process's own, such as a GPU's


def usable_memory_bytes(limit_files: tuple[Path, ...] = _LIMIT_FILES) -> int:
    """Return the machine's memory or the container's limit, whichever is smaller."""
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
    """Return the bytes available before the machine starts to swap."""
    if (text := _read(Path("/proc/meminfo"))) is not None and (found := _AVAILABLE.search(text)) is not None:
        return int(found[1]) * 1024
    return int(psutil.virtual_memory().available)


def allocatable_bytes() -> int:
    """Return what is free, within the limit of this process's address space if it has one."""
    free_bytes = free_memory_bytes()
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return free_bytes
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    text = _read(Path("/proc/self/statm"))
    if limit == resource.RLIM_INFINITY or text is None:
        return free_bytes
    return max(0, min(free_bytes, limit - int(text.split()[0]) * _PAGE_BYTES))


def resident_memory_bytes() -> int:
    """Return this process's resident memory."""
    if (text := _read(Path("/proc/self/statm"))) is not None:
        return int(text.split()[1]) * _PAGE_BYTES
    return int(psutil.Process().memory_info().rss)


def other_process_bytes(pid: int) -> int:
    """Return a child process's resident memory without shared pages; 0 when it has ended."""
    if (text := _read(Path(f"/proc/{pid}/statm"))) is not None:
        resident, shared = text.split()[1:3]
        return (int(resident) - int(shared)) * _PAGE_BYTES
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return 0
    return int(memory.rss - getattr(memory, "shared", 0))


def _read(path: Path) -> bytes | None:
    """Return a file of /proc, or None if it does not exist, in three system calls.

    psutil makes many more, and after each of them a busy server's event loop waits for the interpreter.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(descriptor, 8192)
    except OSError:  # the process has ended meanwhile
        return None
    finally:
        os.close(descriptor)


def peak_memory_bytes() -> int:
    """Return this process's peak resident memory, or the current one where no peak is recorded."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return resident_memory_bytes()
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit_bytes


def call_when_giving_back(name: str, release: Callable[[], None]) -> None:
    """Call ``release`` whenever memory is returned; another one of the same name replaces it."""
    _RELEASES[name] = release


def give_memory_back() -> bool:
    """Collect garbage and return freed memory to the system; returns False where that is not supported.

    glibc keeps freed memory until it is trimmed; other allocators return it by themselves. The memory of
    GPUs is returned by those that ``call_when_giving_back`` knows.
    """
    has_frozen = gc.get_freeze_count() > 0
    gc.unfreeze()
    gc.collect()
    if has_frozen:
        gc.freeze()
    for release in list(_RELEASES.values()):
        release()
    return trim_heap()


def trim_heap() -> bool:
    """Return freed memory that the C library keeps to the system; returns False where it cannot.

    It collects no garbage, so that loading can call it between the tensors of a model.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except AttributeError:  # musl
        return False


def set_lasting_objects_aside() -> None:
    """Collect garbage and freeze all remaining objects, so that later collections skip them.

    A full collection visits every object: with a model loaded it stops all threads for 80 ms, which would
    delay a server's answers. ``give_memory_back`` also collects frozen objects and freezes the rest again.
    """
    gc.collect()
    gc.freeze()


def take_lasting_objects_back() -> None:
    """Unfreeze all objects, so that collections visit them again."""
    gc.unfreeze()

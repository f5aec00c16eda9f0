"""Drops, in the decoding child, every right that decoding does not need.

Each restriction is applied separately; if the platform lacks one, the reason is recorded and the others still
apply. Linux on x86-64 and ARM64 gets all of them, but for reading files where the kernel has no Landlock.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import sys
import time
from collections.abc import Callable

from smallsight.machine.own_process import prctl
from smallsight.media.landlock import deny_files
from smallsight.media.seccomp import install_filter

if sys.platform != "win32":
    import resource

__all__ = ["allow_cpu_seconds", "follow_parent", "lock_down"]

_MAX_OPEN_FILES = 32
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def lock_down(memory_bytes: int, parent_pid: int) -> dict[str, str]:
    """Apply every restriction to this process, permanently; return the reason for each one that failed.

    Ctrl-C is ignored from here on: the parent handles it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    steps: dict[str, Callable[[], None]] = {
        "dies_with_parent": lambda: _die_with(parent_pid),
        "memory_limited": lambda: _limit("RLIMIT_AS", memory_bytes),
        "open_files_limited": lambda: _limit("RLIMIT_NOFILE", _MAX_OPEN_FILES),
        "file_writes_denied": lambda: _limit("RLIMIT_FSIZE", 0),
        "core_dumps_denied": lambda: _limit("RLIMIT_CORE", 0),
        "no_new_privileges": lambda: prctl(_PR_SET_NO_NEW_PRIVS, 1),
        "file_reads_denied": deny_files,
        "system_calls_filtered": _filter_system_calls,
    }
    reasons: dict[str, str] = {}
    for name, step in steps.items():
        try:
            step()
        except (OSError, ValueError, AttributeError) as error:
            reasons[name] = str(error)
    return reasons


def follow_parent(parent_pid: int) -> None:
    """Ignore Ctrl-C, and end when the parent does: at once on Linux, elsewhere when its pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # not available here: the closed pipe ends this process
        _die_with(parent_pid)


def allow_cpu_seconds(seconds: float) -> None:
    """Limit the further CPU time of this process, after which the kernel ends it; no effect on Windows."""
    if sys.platform == "win32":
        return
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(time.process_time() + seconds) + 2
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def _limit(name: str, value: int) -> None:
    if sys.platform == "win32":
        raise OSError("Windows has no resource limits")
    kind = getattr(resource, name)
    _, hard = resource.getrlimit(kind)
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (allowed, allowed))


def _die_with(parent_pid: int) -> None:
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before the line above
        raise SystemExit(0)


def _filter_system_calls() -> None:
    if sys.platform != "linux":
        raise OSError(f"no system-call filter on {sys.platform}")
    install_filter(platform.machine())

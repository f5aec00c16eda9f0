"""Attempts forbidden operations inside the locked-down child and reports which were prevented."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

__all__ = ["try_forbidden_things"]


def try_forbidden_things(memory_bytes: int) -> dict[str, bool]:
    """Attempt each forbidden operation; the value is whether it was prevented.

    Leaves nothing behind if an attempt succeeds.
    """
    attempts: dict[str, Callable[[], None]] = {
        "network_denied": _open_socket,
        "processes_denied": _fork,
        "programs_denied": _execute,
        "file_writes_denied": _write_file,
        "file_reads_denied": _read_what_belongs_to_others,
        "signals_denied": lambda: os.kill(os.getppid(), 0),
        "memory_limited": lambda: _allocate(memory_bytes),
        "core_dumps_denied": _require_core_dumps,
    }
    return {name: _is_prevented(attempt) for name, attempt in attempts.items()}


def _is_prevented(attempt: Callable[[], None]) -> bool:
    try:
        attempt()
    except (OSError, MemoryError):
        return True
    return False


def _open_socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()


def _fork() -> None:
    if sys.platform == "win32":
        return
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _execute() -> None:
    with contextlib.suppress(FileNotFoundError):  # allowed: the system looked for the program
        os.execv(f"/nonexistent-{uuid.uuid4().hex}", ["nothing"])  # noqa: S606 - there is no such program


def _write_file() -> None:
    folder = os.environ.get("TMPDIR") or os.environ.get("TEMP") or "/tmp"  # noqa: S108 - the name is random
    path = Path(folder) / f"smallsight-trial-{uuid.uuid4().hex}"
    try:
        path.write_bytes(b"x")
    finally:
        path.unlink(missing_ok=True)


def _read_what_belongs_to_others() -> None:
    """List the home folder or read the parent's environment; without a restriction one is possible."""
    for attempt in (lambda: list(Path.home().iterdir()), Path(f"/proc/{os.getppid()}/environ").read_bytes):
        with contextlib.suppress(
            OSError, RuntimeError
        ):  # the latter where even the home's name is out of reach
            attempt()
            return
    raise PermissionError("neither is possible")


def _allocate(memory_bytes: int) -> None:
    bytearray(memory_bytes)


def _require_core_dumps() -> None:
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - absent on Windows

    if resource.getrlimit(resource.RLIMIT_CORE)[0] == 0:
        raise PermissionError("core dumps are off")

"""Runs a command on a kernel that refuses Landlock: ``python without_landlock.py PROGRAM ARGUMENT...``."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from dataclasses import replace

from smallsight.machine.own_process import prctl
from smallsight.media import seccomp

_NO_NEW_PRIVS, _NO_SUCH_CALL = 38, 0xFFFF


def main() -> None:
    """Refuse the three calls of Landlock to this process and all that follow; then become the command."""
    machine = platform.machine()
    table = replace(seccomp.ARCHITECTURES[machine], denied=(444, 445, 446), opens=(), clone=_NO_SUCH_CALL)
    seccomp.ARCHITECTURES[machine] = table
    prctl(_NO_NEW_PRIVS, 1)
    seccomp.install_filter(machine)
    assert ctypes.CDLL(None).syscall(444, None, 0, 1) == -1
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()

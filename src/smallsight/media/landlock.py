"""Denies this process every file but those of Python itself, with Landlock (Linux 5.13 and newer).

After that the user's files, the memory and environment of other processes under /proc, and all writing are
out of reach, whatever code runs here. Python's own folders stay readable, because modules are imported late.
Source: the kernel's documentation, userspace-api/landlock.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["deny_files", "is_available"]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1
_EXECUTE, _READ_FILE, _READ_DIR = 1, 1 << 2, 1 << 3
_RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many kinds of access each version knows
_LIBRARY_FOLDERS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")


def is_available() -> bool:
    """Return whether the kernel has Landlock and it is on."""
    try:
        return _version() > 0
    except OSError:
        return False


def deny_files(readable: Iterable[Path] | None = None) -> None:
    """Deny all access to files but reading below ``readable``; by default what Python needs to import.

    Needs "no new privileges". Raises OSError where the kernel has no Landlock.
    """
    version = _version()
    num_rights = _RIGHTS_BY_VERSION.get(version, max(_RIGHTS_BY_VERSION.values()))
    rules = struct.pack("=Q", (1 << num_rights) - 1)
    ruleset = _call(_CREATE_RULESET, ctypes.c_char_p(rules), len(rules), 0)
    try:
        for path in _python_folders() if readable is None else readable:
            _allow(ruleset, path)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _python_folders() -> list[Path]:
    """Return the folders of Python, its packages and the system's libraries, none of which holds a home."""
    home = Path.home().resolve()
    found = {
        Path(one).resolve() for one in (*sys.path, sys.prefix, sys.base_prefix, *_LIBRARY_FOLDERS) if one
    }
    return sorted(one for one in found if one.exists() and not home.is_relative_to(one))


def _allow(ruleset: int, path: Path) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _EXECUTE | _READ_FILE | (_READ_DIR if path.is_dir() else 0)
        rule = struct.pack("=Qi", rights, descriptor)
        _call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.c_char_p(rule), 0)
    finally:
        os.close(descriptor)


def _version() -> int:
    return _call(_CREATE_RULESET, None, 0, _ASK_VERSION)


def _call(number: int, *arguments: object) -> int:
    if sys.platform != "linux":
        raise OSError(f"no Landlock on {sys.platform}")
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result

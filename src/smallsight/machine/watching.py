"""What this machine says about watching files: network folders, the limit on watches, files being written."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import psutil

if sys.platform == "linux":
    import fcntl

# Changes that other machines make there are not reported to this one.
_NETWORK_TYPES = frozenset(
    "nfs nfs4 cifs smb smb2 smb3 smbfs afpfs afs ncpfs 9p ceph glusterfs webdav davfs vboxsf prl_fs".split()
)
_FUSE = "fuse."
_LOCAL_FUSE = frozenset(("fuse.ntfs-3g", "fuse.exfat", "fuse.ext2", "fuse.bindfs", "fuse.mergerfs"))
_MAX_WATCHES_FILE = Path("/proc/sys/fs/inotify/max_user_watches")


def is_network_folder(path: Path) -> bool:
    """Return whether the folder is on a file system that other machines, or programs, change unnoticed."""
    best, kind = "", ""
    for partition in psutil.disk_partitions(all=True):
        mount = partition.mountpoint
        if path.is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, partition.fstype.lower()
    if str(path).startswith("\\\\"):
        return True
    return kind in _NETWORK_TYPES or (kind.startswith(_FUSE) and kind not in _LOCAL_FUSE)


def max_watches() -> int | None:
    """Return how many folders a user may watch on Linux; None where the system has no such limit."""
    try:
        return int(_MAX_WATCHES_FILE.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def is_open_for_writing(path: Path) -> bool:
    """Return whether a program has the file open for writing; False where the system does not say.

    Linux grants a read lease only on a file that nobody writes. Only the owner of the
    file may ask, and only on a local disk.
    """
    if sys.platform != "linux":
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # A writer that opens the file meanwhile causes a signal: one that is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    else:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    finally:
        os.close(descriptor)

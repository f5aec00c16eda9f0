"""A small system-call filter for Linux on x86-64 and ARM64: no network, no programs, no changes on disk.

It also denies what only administrators need, and ways to talk to other processes.
It is a denylist rather than an allowlist, because Python and image libraries differ in the harmless calls
they make. Denied calls fail with EPERM. New threads are allowed, new processes are not.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from dataclasses import dataclass

__all__ = ["ARCHITECTURES", "SystemCallTable", "build_filter", "install_filter"]

_ALLOW = 0x7FFF_0000
_DENY = 0x0005_0000 | errno.EPERM
_MISSING = 0x0005_0000 | errno.ENOSYS

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _JUMP_IF_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_NUMBERS = 0x4000_0000

_CLONE_THREAD = 0x0001_0000
_O_WRONLY, _O_RDWR, _O_CREAT, _O_TRUNC = 0o1, 0o2, 0o100, 0o1000
_OPEN_TO_CHANGE = _O_WRONLY | _O_RDWR | _O_CREAT | _O_TRUNC

_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2


@dataclass(frozen=True, slots=True)
class SystemCallTable:
    """System-call numbers of one processor architecture; ``opens`` pairs a number with its flags argument."""

    audit_number: int
    denied: tuple[int, ...]
    opens: tuple[tuple[int, int], ...]
    clone: int
    has_x32: bool


# The same on every architecture: pidfd_send_signal, three of io_uring, pidfd_open, openat2, pidfd_getfd,
# process_madvise, fchmodat2; then the six of new mounts and mount_setattr.
_DENIED_EVERYWHERE = (424, 425, 426, 427, 434, 437, 438, 440, 452, *range(428, 434), 442)
_CLONE3 = 435

ARCHITECTURES = {
    "x86_64": SystemCallTable(
        audit_number=0xC000_003E,
        denied=(
            *(
                41,
                42,
                43,
                46,
                49,
                50,
                53,
                288,
                307,
            ),  # socket connect accept sendmsg bind listen socketpair ...
            *(57, 58, 59, 322),  # fork vfork execve execveat
            *(62, 200, 234, 129, 297),  # kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo
            *(101, 310, 311, 298, 321, 323),  # ptrace process_vm_* perf_event_open bpf userfaultfd
            *(165, 166, 272, 308, 248, 249, 250),  # mount umount2 unshare setns add_key request_key keyctl
            *(
                76,
                77,
                82,
                83,
                84,
                85,
                86,
                87,
                88,
            ),  # truncate ftruncate rename mkdir rmdir creat link unlink symlink
            *(90, 91, 92, 93, 94, 133, 188),  # chmod fchmod chown fchown lchown mknod setxattr
            *(258, 259, 260, 263, 264, 265, 266, 268, 280, 316),  # the ...at variants
            *(132, 235, 261, 189, 190, 197, 198, 199),  # utime utimes futimesat, xattr
            *(29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 240, 241, 242, 243, 244, 245),  # System V IPC, mq
            *(105, 106, 113, 114, 117, 119, 122, 123, 126),  # setuid ... setfsgid capset
            *(155, 161, 163, 167, 168, 169, 172, 173, 179),  # pivot_root chroot acct swap reboot io quotactl
            *(159, 164, 227, 305),  # clocks
            *(175, 176, 313, 246, 320),  # kernel modules, kexec
            *(300, 301, 303, 304, 312),  # fanotify, handles of files, kcmp
            *_DENIED_EVERYWHERE,
        ),
        opens=((2, 1), (257, 2)),
        clone=56,
        has_x32=True,
    ),
    "aarch64": SystemCallTable(
        audit_number=0xC000_00B7,
        denied=(
            *(
                198,
                199,
                200,
                201,
                202,
                203,
                211,
                242,
                269,
            ),  # socket socketpair bind listen accept connect ...
            *(221, 281),  # execve execveat
            *(129, 130, 131, 138, 240),  # kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo
            *(117, 270, 271, 241, 280, 282),  # ptrace process_vm_* perf_event_open bpf userfaultfd
            *(40, 39, 97, 268, 217, 218, 219),  # mount umount2 unshare setns add_key request_key keyctl
            *(33, 34, 35, 36, 37, 38, 276),  # mknodat mkdirat unlinkat symlinkat linkat renameat renameat2
            *(
                45,
                46,
                52,
                53,
                54,
                55,
                88,
                5,
            ),  # truncate ftruncate fchmod fchmodat fchownat fchown utimensat setxattr
            *(6, 7, 14, 15, 16),  # xattr
            *range(180, 198),  # System V IPC, mq
            *(143, 144, 145, 146, 147, 149, 151, 152, 91),  # setregid ... setfsgid capset
            *(41, 51, 89, 224, 225, 142, 60),  # pivot_root chroot acct swap reboot quotactl
            *(112, 170, 171, 266),  # clocks
            *(105, 106, 273, 104, 294),  # kernel modules, kexec
            *(262, 263, 264, 265, 272),  # fanotify, handles of files, kcmp
            *_DENIED_EVERYWHERE,
        ),
        opens=((56, 2),),
        clone=220,
        has_x32=False,
    ),
}


def build_filter(architecture: SystemCallTable) -> bytes:
    """Return the filter as an array of kernel ``sock_filter`` instructions."""
    program = [
        _instruction(_LOAD, _ARCHITECTURE_AT),
        _instruction(_JUMP_IF_EQUAL, architecture.audit_number, if_true=1),
        _instruction(_RETURN, _DENY),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if architecture.has_x32:  # the same calls under other numbers
        program += [
            _instruction(_JUMP_IF_AT_LEAST, _X32_NUMBERS, if_false=1),
            _instruction(_RETURN, _DENY),
        ]
    for number in architecture.denied:
        program += [_instruction(_JUMP_IF_EQUAL, number, if_false=1), _instruction(_RETURN, _DENY)]
    # clone3 takes its flags in memory, which a filter cannot read; the C library falls back to clone.
    program += [_instruction(_JUMP_IF_EQUAL, _CLONE3, if_false=1), _instruction(_RETURN, _MISSING)]
    program += _by_bits(architecture.clone, 0, _CLONE_THREAD, if_set=_ALLOW, if_clear=_DENY)
    for number, flags_argument in architecture.opens:
        program += _by_bits(number, flags_argument, _OPEN_TO_CHANGE, if_set=_DENY, if_clear=_ALLOW)
    program.append(_instruction(_RETURN, _ALLOW))
    return b"".join(program)


def install_filter(machine: str) -> None:
    """Install the filter for this process, permanently; raises OSError with the reason if that fails.

    The process must have set no_new_privs.
    """
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no filter for the architecture {machine}")
    encoded = build_filter(ARCHITECTURES[machine])
    instructions = ctypes.create_string_buffer(encoded, len(encoded))
    program = _Program(len(encoded) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class _Program(ctypes.Structure):
    _fields_ = (("num_instructions", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _instruction(code: int, operand: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def _by_bits(number: int, argument: int, bits: int, *, if_set: int, if_clear: int) -> list[bytes]:
    """Return instructions that allow or deny the call ``number`` by the low bits of one argument."""
    return [
        _instruction(_JUMP_IF_EQUAL, number, if_false=4),
        _instruction(_LOAD, _ARGUMENTS_AT + 8 * argument),  # both architectures are little-endian
        _instruction(_JUMP_IF_BITS, bits, if_false=1),
        _instruction(_RETURN, if_set),
        _instruction(_RETURN, if_clear),
    ]

from __future__ import annotations

import errno
import os
import struct

import pytest

from smallsight.media.seccomp import ARCHITECTURES, build_filter, install_filter

ALLOW, EPERM, ENOSYS = "allow", "EPERM", "ENOSYS"
# The calls of each architecture by name, from the kernel's tables.
NUMBERS = {
    "x86_64": {
        "read": 0,
        "write": 1,
        "mmap": 9,
        "exit_group": 231,
        "open": 2,
        "openat": 257,
        "futex": 202,
        "socket": 41,
        "connect": 42,
        "execve": 59,
        "fork": 57,
        "vfork": 58,
        "kill": 62,
        "ptrace": 101,
        "clone": 56,
        "clone3": 435,
        "io_uring_setup": 425,
        "unlink": 87,
        "rename": 82,
        "setuid": 105,
        "chroot": 161,
        "shmget": 29,
        "mq_open": 240,
        "kexec_load": 246,
        "init_module": 175,
        "open_by_handle_at": 304,
        "lsetxattr": 189,
        "settimeofday": 164,
        "move_mount": 429,
        "brk": 12,
        "getrandom": 318,
        "madvise": 28,
        "prlimit64": 302,
        "memfd_create": 319,
    },
    "aarch64": {
        "read": 63,
        "write": 64,
        "mmap": 222,
        "exit_group": 94,
        "openat": 56,
        "futex": 98,
        "socket": 198,
        "connect": 203,
        "execve": 221,
        "kill": 129,
        "ptrace": 117,
        "unlinkat": 35,
        "clone": 220,
        "clone3": 435,
        "io_uring_setup": 425,
        "renameat": 38,
        "setuid": 146,
        "chroot": 51,
        "shmget": 194,
        "mq_open": 180,
        "kexec_load": 104,
        "init_module": 105,
        "open_by_handle_at": 265,
        "lsetxattr": 6,
        "settimeofday": 170,
        "move_mount": 429,
        "brk": 214,
        "getrandom": 278,
        "madvise": 233,
        "prlimit64": 261,
        "memfd_create": 279,
    },
}
HARMLESS = (
    *("read", "write", "mmap", "exit_group", "futex"),
    *("brk", "getrandom", "madvise", "prlimit64", "memfd_create"),
)
DENIED = (
    *("socket", "connect", "execve", "fork", "vfork", "kill", "ptrace", "io_uring_setup"),
    *("unlink", "unlinkat", "rename", "renameat"),
    *("setuid", "chroot", "shmget", "mq_open", "kexec_load", "init_module", "open_by_handle_at"),
    *("lsetxattr", "settimeofday", "move_mount"),
)


def run(program: bytes, number: int, audit_number: int, arguments: tuple[int, ...] = ()) -> str:
    """Interpret the filter as the kernel would, for one system call."""
    data = struct.pack("<IIQ6Q", number, audit_number, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    instructions = list(struct.iter_unpack("=HBBI", program))
    loaded = at = 0
    while True:
        code, if_true, if_false, operand = instructions[at]
        at += 1
        if code == 0x06:
            value = operand
            break
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", data, operand)
            continue
        holds = {0x15: loaded == operand, 0x35: loaded >= operand, 0x45: bool(loaded & operand)}[code]
        at += if_true if holds else if_false
    return {
        0x7FFF0000: ALLOW,
        0x00050000 | errno.EPERM: EPERM,
        0x00050000 | errno.ENOSYS: ENOSYS,
    }[value]


@pytest.fixture(params=sorted(ARCHITECTURES))
def call(request):
    architecture = ARCHITECTURES[request.param]
    program = build_filter(architecture)

    def decide(name: str, *arguments: int) -> str | None:
        number = NUMBERS[request.param].get(name)
        return None if number is None else run(program, number, architecture.audit_number, arguments)

    return decide


def test_harmless_calls_pass(call):
    assert {name: call(name) for name in HARMLESS} == dict.fromkeys(HARMLESS, ALLOW)


def test_harmful_calls_fail(call):
    decisions = {name: call(name) for name in DENIED}
    assert set(decisions.values()) <= {EPERM, None}
    assert list(decisions.values()).count(EPERM) >= 18


def test_threads_but_no_processes(call):
    assert call("clone", 0x003D0F00) == ALLOW  # what starting a thread passes
    assert call("clone", 0x01200011) == EPERM  # what fork passes
    assert call("clone3") == ENOSYS


def test_files_are_opened_for_reading_only(call):
    for flags in (os.O_RDONLY, os.O_RDONLY | 0o2000000):
        assert call("openat", 0, 0, flags) == ALLOW
        assert call("open", 0, flags) in {ALLOW, None}
    for flags in (0o1, 0o2, 0o100, 0o1000, 0o1102):
        assert call("openat", 0, 0, flags) == EPERM
        assert call("open", 0, flags) in {EPERM, None}


def test_other_numberings_are_denied():
    program = build_filter(ARCHITECTURES["x86_64"])
    assert run(program, 0, 0x40000003) == EPERM  # 32-bit
    assert run(program, 0x40000000, ARCHITECTURES["x86_64"].audit_number) == EPERM  # x32


def test_no_filter_for_other_processors():
    with pytest.raises(OSError, match="riscv64"):
        install_filter("riscv64")


def test_the_filter_is_short_enough_for_the_kernel():
    for architecture in ARCHITECTURES.values():
        assert len(build_filter(architecture)) // 8 < 4096
